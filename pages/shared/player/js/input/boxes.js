// Draw regions of time and frequency on the spectrograms.

import { clamp, hzAt } from "../axes.js";
import { newRegion } from "../regions.js";

export class FrequencyBoxes {
  constructor(player) {
    this.player = player;
  }

  // Whether a region of time and frequency can be drawn here: only on the spectrograms.
  canDraw({ y }) {
    return this.player.regions.editable && ["spectrogram", "spectrum"].includes(this.player.view.lanes.laneAt(y));
  }

  preview(before, from, to) {
    const name = this.player.view.lanes.laneAt(from.y);
    const { bottom, height } = this.player.view.lanes.lanes[name];
    const { spectrogram, spectrum } = this.player.view.picture;
    const share = (y) => clamp((bottom - y) / height, 0, 1);
    const hzOf = name === "spectrum" ? (y) => Math.round(spectrum.frequencies.hz(share(y))) : (y) => hzAt(spectrogram.rows * share(y), spectrogram.hz);
    const [start, end] = [from.x, to.x].sort((one, other) => one - other).map((x) => this.player.axis.time(x));
    const [low, high] = [from.y, to.y].sort((one, other) => other - one).map(hzOf);
    const box = { ...newRegion(), start, end, low, high };
    this.player.regions.preview(before, box);
    return box;
  }

  end(before, box) {
    this.player.regions.list = before;
    if (box && box.end - box.start > 1e-3 && box.high > box.low) this.player.regions.add(box);
    else this.player.regions.layOut();
    this.player.view.redraw();
  }
}
