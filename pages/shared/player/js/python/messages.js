// Messages to Python about edits and the selected region. Each runs the page again, so a selection is sent only once it
// has settled.

import { t } from "../../../language/language.js";

const SEND_AFTER_MS = 250;
// Edits that Python has not answered, by the owner of the marks. If the visitor leaves the page, a busy Python may never
// receive them; they are sent again when the player returns.
const unanswered = (globalThis.hearWhyUnanswered ??= new Map());
const outlivesPage = ({ command }) => !["previous", "next", "queue", "undo", "redo", "analyse"].includes(command);

export class Messages {
  constructor(player) {
    this.player = player;
    this.pending = []; // edits that Python has not answered
    this.sentId = null; // the region whose fields Python shows
  }

  // Take Python's answer: drop the edits that it has handled.
  update({ owner, answered }, setStateValue, ownerChanged) {
    this.setStateValue = setStateValue;
    if (ownerChanged) this.pending = (unanswered.get(owner) ?? []).filter(outlivesPage);
    this.pending = this.pending.filter(({ number }) => number > answered);
  }

  // Of several selections in quick succession, send only the last. Words have no fields, so selecting one sends nothing.
  sendChosen() {
    clearTimeout(this.timer);
    const { player } = this;
    this.timer = setTimeout(() => player.root.isConnected && player.marks.idWithFields !== this.sentId && this.send(), SEND_AFTER_MS);
  }

  // Send all unanswered edits: of several messages, a busy Python receives only the last.
  sendEdit(edit) {
    const { recording, owner, answered } = this.player.data;
    const number = Math.max(Date.now(), answered + 1, (this.lastEdit ?? 0) + 1);
    this.lastEdit = number;
    this.pending = [...this.pending, { number, recording: recording.id, owner, changed: [], deleted: [], ...edit }];
    this.send();
    this.showSaved();
  }

  send() {
    if (!this.player.data.editable) return;
    clearTimeout(this.timer);
    this.sentId = this.player.marks.idWithFields;
    this.setStateValue("editing", { edits: this.pending, chosen: this.sentId });
  }

  showSaved() {
    const { data } = this.player;
    if (data.editable) unanswered.set(data.owner, this.pending);
    const shown = this.player.find(".saved");
    shown.hidden = !data.editable;
    const words = this.pending.length ? t("Saving …") : t("All saved");
    if (shown.textContent !== words) shown.textContent = words;
  }

  destroy() {
    clearTimeout(this.timer);
  }
}
