// Scales of the lanes: a position from 0 to 1 for each value, and the values to label.

// From Hz and back: mel as in HTK, Bark as in Traunmüller 1990.
const SCALES = {
  linear: { from: (hz) => hz, hz: (value) => value },
  mel: { from: (hz) => 2595 * Math.log10(1 + hz / 700), hz: (mel) => 700 * (10 ** (mel / 2595) - 1) },
  bark: { from: (hz) => (26.81 * hz) / (1960 + hz) - 0.53, hz: (bark) => (1960 * (bark + 0.53)) / (26.28 - bark) },
};
const LINEAR_STEPS_HZ = [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000];
const OTHER_TICKS_HZ = [100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 4000, 5000, 7000, 10000, 15000, 20000, 30000, 50000, 90000];
const MEASURE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const F0_TICKS_HZ = [30, 50, 75, 100, 150, 200, 300, 400, 600, 800, 1200, 1600];
const F0_TICK_DISTANCE = 14;

export class FrequencyAxis {
  constructor(scale, top) {
    Object.assign(this, { scale, top, low: SCALES[scale].from(0), high: SCALES[scale].from(top) });
  }

  // The relative height of a frequency: 0 at 0 Hz, 1 at the top. `hz` is the inverse.
  share(hz) {
    return (SCALES[this.scale].from(hz) - this.low) / (this.high - this.low);
  }

  hz(share) {
    return SCALES[this.scale].hz(this.low + share * (this.high - this.low));
  }

  // Frequencies to label, at least `apart` pixels from each other.
  ticks(height, apart = 22) {
    if (this.scale === "linear") {
      const step = LINEAR_STEPS_HZ.find((hz) => this.share(hz) * height >= apart) ?? this.top;
      return Array.from({ length: Math.floor(this.top / step + 1e-9) + 1 }, (_, index) => index * step);
    }
    const ticks = [0];
    for (const hz of OTHER_TICKS_HZ) if (hz <= this.top && (this.share(hz) - this.share(ticks.at(-1))) * height >= apart) ticks.push(hz);
    return ticks;
  }
}

// A linear scale, a little wider than the range of the values.
export function linearScale([min, max]) {
  const margin = Math.max(0.08 * (max - min), 0.5);
  const [low, high] = [min - margin, max + margin];
  return {
    share: (value) => (value - low) / (high - low),
    ticks(height) {
      const step = MEASURE_STEPS.find((candidate) => (candidate / (high - low)) * height >= 14) ?? high - low;
      const first = Math.ceil(low / step);
      return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
    },
  };
}

// A logarithmic scale of F0, on which a shift by an octave has the same length everywhere.
export function octaveScale(low, high) {
  const span = Math.log2(high / low);
  const share = (hz) => Math.log2(hz / low) / span;
  return {
    share,
    hz: (height) => low * 2 ** (span * height),
    ticks(height) {
      const ticks = [];
      for (const hz of F0_TICKS_HZ) if (hz >= low && hz <= high && !((share(hz) - share(ticks.at(-1))) * height < F0_TICK_DISTANCE)) ticks.push(hz);
      return ticks;
    },
  };
}
