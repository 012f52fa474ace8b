// Commands to Python about the whole recording, the fields of a region, or the page, and the keys that wait for them.

import { VALUES } from "../input/keys.js";
import { newRegion } from "../regions.js";
import { t } from "../../../language/language.js";

const TURNS = ["previous", "next"];
const MAX_ANALYSED_S = 600;

export class Commands {
  constructor(player) {
    Object.assign(this, { player, turning: false, analysing: false, question: null });
    this.waitingKeys = []; // for the recording that is being opened
  }

  // Whether Python has not opened the next recording yet.
  isTurning() {
    return this.turning && this.player.messages.pending.some(({ command }) => TURNS.includes(command));
  }

  // Take new data from Python; return whether they end a command that was announced in the readout.
  finish() {
    const analysed = this.analysing && !this.player.messages.pending.some(({ command }) => command === "analyse");
    const ended = this.turning || analysed;
    this.turning = false;
    if (analysed) this.analysing = false;
    return ended;
  }

  send(name, value, words, target = {}) {
    this.player.announce(words);
    this.player.showReadout(words);
    this.player.messages.sendEdit({ command: name, value, ...target });
  }

  turn(direction) {
    this.send(direction, null, t("Opening another recording"));
    this.turning = true;
    if (direction === "next" && this.player.data.ahead) this.player.contents.presentAhead();
  }

  // Postpone a key that is pressed before Python has opened the next recording, for which it is meant. Keys that only
  // play need not wait if the recording is shown already. Return whether the key was postponed.
  postpones(event, isEditing) {
    const waits = this.turning && (isEditing || !this.player.contents.openedFrom);
    if (waits) this.waitingKeys.push(event);
    return waits;
  }

  // The model analyses only a stretch of a long recording, on request.
  analyse() {
    const { start, end, span } = this.player.axis;
    if (span > MAX_ANALYSED_S + 1e-6) {
      this.player.showReadout(t("At most ten minutes are analysed at once: zoom in first"));
      return this.player.announce(t("Zoom in to at most ten minutes first"));
    }
    this.player.announce(t("Analysing what is in view"));
    this.player.showReadout(t("Analysing what is in view …"));
    this.analysing = true;
    this.player.messages.sendEdit({ command: "analyse", changed: [{ ...newRegion(), start, end }] });
  }

  setDone(done) {
    this.send("status", done ? "done" : "open", done ? t("This recording is done") : t("This recording is open again"));
  }

  doneAndNext() {
    if (!this.player.data.done) this.setDone(true);
    this.turn("next");
  }

  // Intensity, confidence and channel take two keys: a letter and a digit. The letter twice removes the value.
  ask(field) {
    this.question = field;
    this.player.announce(VALUES[field].question);
    this.player.showReadout(VALUES[field].question);
  }

  // Take a key as the answer to the question; return whether it was one.
  answer(key) {
    const field = this.question;
    this.question = null;
    if (!field) return false;
    const { letter, parse, words, none } = VALUES[field];
    const value = key.toLowerCase() === letter ? null : parse(key, this.player.data);
    if (value === undefined) return false;
    const { keyTarget } = this.player.marks;
    const region = keyTarget.list[keyTarget.chosenIndex()];
    const target = region && { mark: region.id, tier: keyTarget.tier?.key };
    if (region?.suggested) this.player.announce(t("Accept the suggestion first"));
    else this.send(field, value, value === null ? none : words(value), target);
    return true;
  }
}
