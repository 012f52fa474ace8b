// What Python hears of the player. It runs its page again for each message, so it hears only what it asked for, and only
// what lasts.

const TELL_AFTER_MS = 250;
// Edits that Python has not answered, by whose marks they are: a page that is left takes the player with it, and a busy
// Python may never hear of them. They are sent again when the player comes back.
const unanswered = (globalThis.hearWhyUnanswered ??= new Map());
const outlivesPage = ({ command }) => !command || command === "label";

export class Messages {
  constructor(player) {
    this.player = player;
    this.pending = []; // edits that Python has not answered
    this.timers = {};
  }

  // Take Python's answer. An answer to an older edit than the last one is not what stands.
  update({ whose, answered }, setStateValue, turned) {
    this.send = setStateValue;
    if (turned) this.pending = (unanswered.get(whose) ?? []).filter(outlivesPage);
    this.pending = this.pending.filter(({ number }) => number > answered);
  }

  tell(name, value) {
    if (this.player.data.tells.includes(name)) this.after(name, () => this.send(name, value));
  }

  tellChosen() {
    this.after("chosen", () => this.tellEditing());
  }

  // Only the last of several that come soon after each other.
  after(name, send) {
    clearTimeout(this.timers[name]);
    this.timers[name] = setTimeout(() => this.player.root.isConnected && send(), TELL_AFTER_MS);
  }

  // All edits that were not answered go along: of several messages a busy Python gets only the last.
  tellEdit(edit) {
    const { recording, whose, answered } = this.player.data;
    const number = Math.max(Date.now(), answered + 1, (this.lastEdit ?? 0) + 1);
    this.lastEdit = number;
    this.pending = [...this.pending, { number, recording: recording.id, whose, changed: [], deleted: [], ...edit }];
    this.tellEditing();
    this.showSaved();
  }

  tellEditing() {
    if (!this.player.data.editable) return;
    clearTimeout(this.timers.chosen);
    this.send("editing", { edits: this.pending, chosen: this.player.regions.chosen });
  }

  showSaved() {
    const { data } = this.player;
    if (data.editable) unanswered.set(data.whose, this.pending);
    const shown = this.player.find(".saved");
    shown.hidden = !data.editable;
    const words = this.pending.length ? "Saving …" : "All saved";
    if (shown.textContent !== words) shown.textContent = words;
  }

  destroy() {
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
  }
}
