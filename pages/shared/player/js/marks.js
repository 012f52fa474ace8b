// Regions and marks of tiers: which of them the keys refer to, their selection, and their edits.

import { t } from "../../language/language.js";

export class Marks {
  constructor(player) {
    this.player = player;
    const buttons = { accept: () => this.keyTarget.accept(), dismiss: () => this.keyTarget.dismiss() };
    for (const [name, action] of Object.entries(buttons)) player.find(`.suggestion .${name}`).addEventListener("click", action);
  }

  // The row that the keys for regions refer to: the tier whose mark is selected, else the regions.
  get keyTarget() {
    return this.player.tiers.chosen ?? this.player.regions;
  }

  // The id of the region whose fields Python shows: words and other free text have none.
  get idWithFields() {
    return this.player.tiers.chosen?.labels.length === 0 ? null : this.keyTarget.chosen;
  }

  chooseRegion({ start, end }, name) {
    const { player } = this;
    player.tiers.clearChosen();
    const stretch = { start, end };
    player.setSelection(stretch, true);
    player.announce(t("Region {name}", { name }));
    this.showState();
    if (player.axis.follow(start)) player.view.redraw();
    player.sound.stop();
    player.sound.seek(start);
    player.messages.sendChosen();
    if (!player.regions.editable) player.sound.play(stretch);
  }

  // Play a region from the table, once or in a loop.
  playRegion(index, loop) {
    const { player } = this;
    const region = player.regions.list[index];
    if (!region) return;
    if (player.sound.loop !== loop) player.toggleLoop();
    this.chooseRegion(region, player.regions.name(index));
    if (player.regions.editable) player.sound.play(player.selection);
  }

  playMark(stretch) {
    const { player } = this;
    this.showState();
    player.messages.sendChosen();
    player.setSelection(stretch, true);
    player.sound.stop();
    player.sound.seek(stretch.start);
    player.sound.play(stretch);
  }

  // If a region or a mark of a tier is selected, the selected time range follows it.
  selectChosen() {
    const { keyTarget, player } = this;
    const { selection } = player;
    if (keyTarget.chosen === null) return;
    const region = keyTarget.list[keyTarget.chosenIndex()];
    if (!region) {
      keyTarget.clearChosen();
      return player.setSelection(null);
    }
    const { start, end } = keyTarget.stretchOf(region);
    if (start !== selection?.start || end !== selection?.end) player.setSelection({ start, end });
  }

  // Make the keys refer to the selected time range, and no longer to a region.
  clearChosen() {
    const { player } = this;
    if (this.keyTarget.chosen === null) return player.tiers.clearChosen();
    player.tiers.clearChosen();
    player.regions.clearChosen();
    this.showState();
    player.messages.sendChosen();
  }

  // The state of the selected region, else of the whole recording; for a suggestion, the buttons that decide about it.
  showState() {
    const { player } = this;
    const region = this.keyTarget.list[this.keyTarget.chosenIndex()];
    const isSuggested = Boolean(player.regions.editable && region?.suggested);
    const shown = player.find(".state");
    shown.hidden = isSuggested;
    player.find(".suggestion").hidden = !isSuggested;
    const words = player.regions.editable ? (region?.state ?? player.data.state) : "";
    if (shown.textContent !== words) shown.textContent = words;
  }

  selectionToRegion() {
    const { selection } = this.player;
    if (selection) this.keyTarget.add(selection);
  }

  // Label the selected region, else turn the selection into a labelled region; with Shift label the whole recording.
  label(index, whole) {
    const { player } = this;
    const label = ((!whole && player.tiers.chosen?.labels) || player.data.labels)[index]?.[0];
    if (!label) return;
    if (whole) player.commands.send("label", label, t("Whole recording: {label}", { label: player.regions.shownLabel(label) }));
    else if (!this.keyTarget.label(label)) {
      if (player.selection) this.keyTarget.add({ ...player.selection, label });
      else player.announce(t("Select or draw a region first"));
    }
  }

  split() {
    const { player } = this;
    if (!this.keyTarget.split(player.sound.position)) player.announce(t("The playhead is not inside a region"));
  }

  merge() {
    if (!this.keyTarget.merge()) this.player.announce(t("Select a region that has another one after it"));
  }

  regionsEdited(edit, words) {
    const { player } = this;
    this.selectEdited();
    this.showState();
    player.announce(words);
    player.view.redraw(true);
    player.messages.sendEdit(edit);
  }

  tierEdited(edit, words) {
    const { player } = this;
    this.selectEdited();
    this.showState();
    player.announce(words);
    player.view.layOut();
    player.messages.sendEdit(edit);
  }

  selectEdited() {
    const { player } = this;
    if (this.keyTarget.chosen === null) player.setSelection(null);
    this.selectChosen();
    const { selection, sound } = player;
    player.showSelection();
    if (selection && !sound.run && !(sound.at >= selection.start && sound.at <= selection.end)) sound.seek(selection.start);
  }
}
