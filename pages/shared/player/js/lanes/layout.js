// The layout of the lanes, one below the other.

const TITLE_HEIGHT = 24;
const HEIGHTS = {
  waveform: 64,
  spectrogram: 192,
  spectrum: 208,
  f0: 76,
  intensity: 60,
  hnr: 60,
  tilt: 60,
  profile: 76,
  scores: 84,
  words: 24,
  regions: 34,
  tiers: 0,
  others: 0,
  ruler: 24,
};
// Height of each row in lanes of several rows.
export const ROW_HEIGHTS = { regions: 24, tiers: 22, others: 18 };
// Minimum height of a lane in which F0 is drawn.
const TALL = 200;
// Lanes of fixed height; the others are lower if space is short, and higher if there is plenty.
const FIXED = ["words", "regions", "tiers", "others", "ruler"];
const DENSE = { title: 20, share: 0.62 };

// Place the lanes that have content: the top, bottom and height of each by its name, and their total height. For `regions`,
// `tiers` and `others`, `shown` gives the number of rows. `dense` makes pictures lower, `fill` is a height that they fill.
export function placeLanes(shown, { dense = false, fill = null } = {}) {
  const { title, share } = dense ? DENSE : { title: TITLE_HEIGHT, share: 1 };
  const natural = place(shown, title, fill ? 1 : share);
  if (!fill) return natural;
  const pictures = Object.entries(natural.lanes).reduce((sum, [name, { height }]) => sum + (FIXED.includes(name) ? 0 : height), 0);
  return place(shown, title, Math.max(DENSE.share, 1 + (fill - natural.height) / pictures));
}

function place(shown, title, share) {
  const lanes = {};
  let top = 0;
  for (const name of Object.keys(HEIGHTS).filter((lane) => shown[lane])) {
    if (name !== "ruler") top += title;
    const normal = FIXED.includes(name) ? HEIGHTS[name] : Math.round(share * HEIGHTS[name]);
    const height = Math.max(normal, name in ROW_HEIGHTS ? ROW_HEIGHTS[name] * shown[name] : 0, shown[name] === "tall" ? TALL : 0);
    lanes[name] = { top, height, bottom: top + height };
    top += height;
  }
  return { lanes, height: top };
}
