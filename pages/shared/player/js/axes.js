// The axes: the visible time range, and the positions of times and frequencies. Throughout the player, times are in
// seconds and lengths in CSS pixels.

import { clock, typedTime } from "../../language/language.js";

const SHORTEST_VIEW = 0.005;
const TICK_STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800];
const TICK_DISTANCE = 70;

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export class TimeAxis {
  constructor(duration) {
    this.duration = duration;
    this.origin = 0; // start of a stretch in its long recording, whose times are displayed
    this.width = 1;
    this.start = 0;
    this.end = duration;
  }

  // A time as it is displayed.
  clock(time, decimals) {
    return clock(time + this.origin, decimals);
  }

  // A time as people type it.
  typed(time) {
    return typedTime(time + this.origin, this.duration + this.origin);
  }

  // Whether times that people type have minutes.
  get showsClock() {
    return this.duration + this.origin >= 60;
  }

  get span() {
    return this.end - this.start;
  }

  x(time) {
    return ((time - this.start) / this.span) * this.width;
  }

  time(x) {
    return clamp(this.start + (x / this.width) * this.span, 0, this.duration);
  }

  // Show a time range, moved and cut to lie within the recording.
  show(start, end) {
    const span = clamp(end - start, Math.min(SHORTEST_VIEW, this.duration), this.duration);
    this.start = clamp(start, 0, this.duration - span);
    this.end = this.start + span;
  }

  showAll() {
    this.show(0, this.duration);
  }

  // A factor above 1 zooms in; the time `about` stays where it is.
  zoom(factor, about) {
    const span = clamp(this.span / factor, Math.min(SHORTEST_VIEW, this.duration), this.duration);
    const start = about - ((about - this.start) / this.span) * span;
    this.show(start, start + span);
  }

  pan(seconds) {
    this.show(this.start + seconds, this.end + seconds);
  }

  // If a time is outside the view, move the view so that it is near the left edge. Return whether the view moved.
  follow(time) {
    if (time >= this.start && time <= this.end) return false;
    this.show(time - 0.02 * this.span, time + 0.98 * this.span);
    return true;
  }

  ticks() {
    const minStep = (TICK_DISTANCE / this.width) * this.span;
    const step = TICK_STEPS.find((candidate) => candidate >= minStep) ?? 3600;
    const first = Math.ceil((this.start + this.origin) / step - 1e-9);
    const count = Math.floor((this.end + this.origin) / step + 1e-9) - first + 1;
    return Array.from({ length: count }, (_, index) => (first + index) * step).map((time) => ({
      time: time - this.origin,
      label: clock(time, decimalsOf(step)),
    }));
  }
}

function decimalsOf(step) {
  return step >= 1 ? 0 : Math.ceil(-Math.log10(step) - 1e-9);
}

// The (fractional) row of a spectrogram at a frequency; the centre of a band is half a row above its lower edge.
export function rowOf(hz, centres) {
  const above = centres.findIndex((centre) => centre > hz);
  if (above === 0) return 0;
  if (above < 0) return centres.length;
  return above - 0.5 + (hz - centres[above - 1]) / (centres[above] - centres[above - 1]);
}

// The inverse: the frequency at a row in whole Hz, between the centres of the lowest and the highest band.
export function hzAt(row, centres) {
  const position = clamp(row - 0.5, 0, centres.length - 1);
  const below = Math.min(Math.floor(position), centres.length - 2);
  return Math.round(centres[below] + (position - below) * (centres[below + 1] - centres[below]));
}
