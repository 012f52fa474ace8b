// What Python gave, turned into what the lanes draw.

const NEPER_IN_DB = 20 * Math.LOG10E;
const SHORT = 32767;

// `valuesOf` keeps tiles of what stays the same; `fetched` is what was fetched whole.
function pictureOf(data, { valuesOf, colours, overlay, opacity, theme, scores, regions, colourOf }) {
  const chosen = data.overlays.find(({ name }) => name === overlay);
  const asked = chosen ?? data.overlays[0];
  return {
    theme,
    accent: data.accent ?? WAVE,
    waveform: { values: valuesOf(data.waveform), peak: data.waveform.peak || 1 },
    spectrogram: data.spectrogram && {
      ...data.spectrogram,
      values: valuesOf(data.spectrogram),
      rows: data.spectrogram.hz.length,
      table: colours,
      shade: (value) => value,
    },
    overlay: chosen && {
      ...chosen,
      values: valuesOf(chosen),
      rows: data.spectrogram.hz.length,
      table: overlayTable(data.scale),
      shade: (value) => Math.round(127.5 * (1 + clamp((value / SHORT) * (chosen.most / chosen.full), -1, 1))),
    },
    opacity,
    uncovered: asked?.uncovered ?? [],
    profile: data.profile && { ...data.profile, values: valuesOf(data.profile), colour: data.accent ?? WAVE },
    scores: data.scores && { ...data.scores, segments: scores },
    words: data.words,
    regions,
    colourOf,
    others: data.others,
    titles: titlesOf(data, chosen),
  };
}

const tables = new Map();
function overlayTable(stops) {
  const key = JSON.stringify(stops);
  if (!tables.has(key)) tables.set(key, colourTable(stops));
  return tables.get(key);
}

function titlesOf(data, chosen) {
  const strong = (text) => ({ text, strong: true });
  const against = chosen?.against ? ` rather than ${chosen.against}` : "";
  return {
    waveform: { words: [strong("Waveform")] },
    spectrogram: {
      words: [strong("Log-mel spectrogram"), chosen && { text: `${chosen.name}: evidence for ${chosen.emotion}${against}` }].filter(Boolean),
      unit: "Hz",
      scale: chosen && data.scale,
    },
    profile: { words: data.profile ? [strong(data.profile.title), { text: data.profile.note }] : [] },
    scores: { words: [strong("Scores of segments"), ...(data.scores?.emotions ?? []).map(({ name, colour }) => ({ text: name, colour }))] },
    words: { words: [strong("Words"), { text: "click to hear" }] },
    regions: { words: [strong(data.regionsTitle), { text: data.editable ? "drag to draw one" : "click to hear" }] },
    others: { words: [strong("Marked by others"), { text: "click to hear" }] },
    ruler: { words: [] },
  };
}

// One row a segment: its middle, whether it was kept, a score for each emotion.
async function fetchScores({ url, segments, emotions }) {
  const wide = 2 + emotions.length;
  const all = new Float32Array(await fetchBytes(url, 0, 4 * wide * segments));
  return Array.from({ length: segments }, (_, place) => {
    const [time, kept, ...scores] = all.subarray(place * wide, (place + 1) * wide);
    return { time, kept: kept > 0, scores };
  });
}

// What is under the pointer, in words.
function readoutAt(picture, lanes, axis, { x, y }) {
  const time = axis.time(x);
  const lane = lanes.laneAt(y);
  const words = [`${clock(time, 3)}${time < 60 ? " s" : ""}`];
  if (lane === "spectrogram") words.push(...spectrogramAt(picture, lanes.lanes.spectrogram, time, y));
  else if (picture.profile) {
    const value = picture.profile.values.valueAt(time, 0);
    if (value !== null) words.push(`mean relevance ${digits(value)}`);
  }
  if (lane === "scores") words.push(...scoresAt(picture.scores, time));
  return words.join(" · ");
}

function spectrogramAt({ spectrogram, overlay }, lane, time, y) {
  const { values, rows, hz, low, high } = spectrogram;
  const row = clamp(Math.floor(((lane.bottom - y) / lane.height) * rows), 0, rows - 1);
  const words = [`${Math.round(hz[row])} Hz`];
  const level = values.valueAt(time, row);
  if (level !== null) words.push(`${signed((NEPER_IN_DB * (low + (level / 255) * (high - low))).toFixed(0))} dB`);
  const relevance = overlay?.values.valueAt(time, row) ?? null;
  if (relevance !== null) words.push(`relevance ${digits((relevance / SHORT) * overlay.most)}`);
  return words;
}

function scoresAt({ segments, emotions }, time) {
  if (!segments.length) return [];
  const near = segments.reduce((best, one) => (Math.abs(one.time - time) < Math.abs(best.time - time) ? one : best));
  return emotions.map(({ name }, place) => `${name} ${near.scores[place].toFixed(2)}`);
}

const signed = (text) => text.replace("-", "−");
const digits = (value) => signed(Number(value.toPrecision(2)).toString());
