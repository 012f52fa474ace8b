// Messages to Python about edits. Each one reruns the page, so selections are sent only once they have settled.

import { t } from "../../language/language.js";

const TELL_AFTER_MS = 250;
// Edits that Python has not answered, by the owner of the marks. If the visitor leaves the page, a busy Python may never
// receive them; they are sent again when the player returns.
const unanswered = (globalThis.hearWhyUnanswered ??= new Map());
const outlivesPage = ({ command }) => !["previous", "next", "queue", "undo", "redo", "analyse"].includes(command);

export class Messages {
  constructor(player) {
    this.player = player;
    this.pending = []; // edits that Python has not answered
    this.told = null; // the region whose fields Python shows
  }

  // Process Python's answer: drop the edits that it has handled.
  update({ owner, answered }, setStateValue, turned) {
    this.send = setStateValue;
    if (turned) this.pending = (unanswered.get(owner) ?? []).filter(outlivesPage);
    this.pending = this.pending.filter(({ number }) => number > answered);
  }

  // Of several selections in quick succession, send only the last; words have no fields, and are not worth a run.
  tellChosen() {
    clearTimeout(this.timer);
    const { player } = this;
    this.timer = setTimeout(() => player.root.isConnected && player.detailed !== this.told && this.tellEditing(), TELL_AFTER_MS);
  }

  // Send all unanswered edits: of several messages, a busy Python receives only the last.
  tellEdit(edit) {
    const { recording, owner, answered } = this.player.data;
    const number = Math.max(Date.now(), answered + 1, (this.lastEdit ?? 0) + 1);
    this.lastEdit = number;
    this.pending = [...this.pending, { number, recording: recording.id, owner, changed: [], deleted: [], ...edit }];
    this.tellEditing();
    this.showSaved();
  }

  tellEditing() {
    if (!this.player.data.editable) return;
    clearTimeout(this.timer);
    this.told = this.player.detailed;
    this.send("editing", { edits: this.pending, chosen: this.told });
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
