// The contents of the player: the data from Python, and the next recording before Python opens it.

import { pressKey } from "../input/keys.js";
import { WAVE } from "../pictures.js";
import { clock, t } from "../../../language/language.js";

// When a recording is opened for a mark shorter than this share of it, the view shows this much around the mark.
const SHORT_MARK_SHARE = 0.01;
const AROUND_MARK_S = 5;
// A point that is not shown is played for this long.
const MIN_PLAYED_S = 0.15;
const playedArrivals = new Set();

export class Contents {
  constructor(player) {
    this.player = player;
    this.openedFrom = null; // the address of the recording before the one that is shown ahead of Python
  }

  update({ data, setStateValue }) {
    const { player } = this;
    const ownerChanged = data.owner !== player.data?.owner;
    player.messages.update(data, setStateValue, ownerChanged);
    // The next recording may be shown already while Python still sends the previous one.
    if (player.commands.isTurning()) return;
    if (player.commands.finish()) player.showReadout("");
    const keys = player.commands.waitingKeys.splice(0);
    const previousUrl = this.openedFrom ?? player.data?.recording.url;
    this.openedFrom = null;
    this.present(data, ownerChanged);
    if (data.arrival) this.playArrival(data.arrival);
    player.messages.showSaved();
    if (ownerChanged && player.messages.pending.length) player.messages.send();
    player.menu.offer(setStateValue);
    player.sound.fetchAhead(data.ahead?.recording);
    if (data.recording.url !== previousUrl) for (const event of keys) pressKey(player, event);
  }

  present(data, ownerChanged = false) {
    const { player } = this;
    const isNew = data.recording.url !== player.data?.recording.url;
    if (isNew) this.open(data);
    player.data = data;
    if (isNew && data.editable) player.focus.takeAtOpening();
    if (isNew || ownerChanged || !player.messages.pending.length) {
      player.regions.set(data.regions, data);
      player.tiers.set(data.tiers, data.snaps);
    }
    player.marks.selectChosen();
    player.marks.showState();
    player.view.loadScores(data.scores);
    player.bar.offerOverlays();
    player.find(".bar .analyse").hidden = !(data.editable && data.recording.long);
    player.bar.offerVersions();
    player.transcript.set(data.words);
    player.table.set(data.regionTable);
    player.find(".player").setAttribute("aria-label", t("Player of {name}", { name: data.recording.name }));
    player.timeline.setAttribute("aria-label", t("Position in {name}", { name: data.recording.name }));
    const { origin, duration } = data.recording;
    player.timeline.setAttribute("aria-valuemin", origin.toFixed(2));
    player.timeline.setAttribute("aria-valuemax", (origin + duration).toFixed(2));
    player.find(".player").style.setProperty("--accent", data.accent ?? WAVE);
    player.view.layOut();
  }

  // Select and play the mark for which the recording was opened, once.
  playArrival({ number, id, start, end }) {
    if (playedArrivals.has(number)) return;
    const { player } = this;
    playedArrivals.add(number);
    if (end - start < SHORT_MARK_SHARE * player.axis.duration) player.show(start - AROUND_MARK_S, end + AROUND_MARK_S);
    const row = [player.regions, ...player.tiers.rows].find(({ list }) => list.some((region) => region.id === id));
    if (!row) return player.playStretch({ start, end: Math.max(end, start + MIN_PLAYED_S) });
    row.choose(row.list.findIndex((region) => region.id === id));
    player.sound.play(player.selection);
  }

  // Show the next recording before Python opens it, without its marks, which are not known yet.
  presentAhead() {
    const { data } = this.player;
    const tiers = data.tiers.map((tier) => ({ ...tier, marks: [] }));
    const empty = { overlays: [], profile: null, scores: null, regions: [], tiers, words: [], others: [], state: "", done: false };
    const awaited = data.profile ? ["profile", "scores"] : data.awaited;
    this.openedFrom = data.recording.url;
    const measures = data.measures && { ...data.measures, state: "running" };
    const f0 = data.f0 && { ...data.f0, words: "" };
    this.present({ ...data, ...empty, awaited, measures, f0, ...data.ahead, ahead: null });
  }

  open({ recording }) {
    const { player } = this;
    player.axis.duration = recording.duration;
    player.axis.origin = recording.origin;
    player.axis.showAll();
    player.setSelection(null);
    player.tiers.clearChosen();
    player.regions.chosen = null;
    player.commands.question = null;
    player.sound.load(recording.url, recording.duration);
    const until = recording.origin + recording.duration;
    player.find(".clock .whole").textContent = ` / ${until < 60 ? t("{seconds} s", { seconds: clock(until, 2) }) : clock(until, 2)}`;
  }
}
