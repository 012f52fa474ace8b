// Convert Python's data into what the lanes draw, with the theme's colours and colour tables of 256 steps for spectrogram
// and relevance.

import { TRACKS } from "./lanes/measures.js";
import { FrequencyAxis } from "./lanes/scales.js";
import { clamp } from "./axes.js";
import { fetchBytes } from "./wav.js";
import { decimal, t } from "../../language/language.js";

export const WAVE = "#7f8fa6";
// Visible on grey and on magma, in either theme.
export const FORMANT = "#00b4d8";
const MAP_STEPS = 256;
const NEPER_IN_DB = 20 * Math.LOG10E;
const INT16_MAX = 32767;

// `valuesOf` reuses the tiles of unchanged data; `scores` are the fetched segment scores.
export function pictureOf(data, { valuesOf, colours, overlay, opacity, theme, scores, regions, colourOf, labelOf, spectrogram, menu, f0 }) {
  const chosen = data.overlays.find(({ name }) => name === overlay);
  const hatched = chosen ?? data.overlays[0];
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
      errors: chosen.errors && { ...chosen.errors, values: valuesOf(chosen.errors) },
      rows: data.spectrogram.hz.length,
      table: overlayTable(data.scale),
      shade: (value) => Math.round(127.5 * (1 + clamp((value / INT16_MAX) * (chosen.most / chosen.full), -1, 1))),
    },
    spectrum: {
      spectrogram,
      table: colours,
      window: menu.settings.window,
      frequencies: new FrequencyAxis(menu.settings.scale, menu.top),
      decibels: menu.settings.decibels,
      formants: menu.isShown("formants"),
    },
    tracks: tracksOf(data.measures, (measures) => f0.valuesOf(measures, valuesOf), menu),
    f0: f0.scale,
    opacity,
    uncovered: hatched?.uncovered ?? [],
    profile: data.profile && { ...data.profile, values: valuesOf(data.profile), colour: data.accent ?? WAVE },
    scores: data.scores && { ...data.scores, segments: scores },
    words: data.words,
    regions,
    colourOf,
    labelOf,
    others: data.others,
    titles: titlesOf(data, chosen, menu),
  };
}

// The measures over time, or a message that says why there are none.
function tracksOf(measures, valuesOf, menu) {
  const names = TRACKS.filter((name) => menu.isShown(name));
  if (measures?.state === "done" && measures.ceiling === menu.ceiling) return { names, values: valuesOf(measures), ranges: measures.ranges };
  return { names, message: measures?.state === "failed" ? (measures.refusal ?? t("Measuring was stopped")) : measuring(measures) };
}

function measuring(measures) {
  const percent = Math.round(100 * (measures?.fraction ?? 0));
  return percent ? t("Measuring: {percent} %", { percent }) : t("Measuring …");
}

const tables = new Map();
function overlayTable(stops) {
  const key = JSON.stringify(stops);
  if (!tables.has(key)) tables.set(key, colourTable(stops));
  return tables.get(key);
}

function titlesOf(data, chosen, menu) {
  const strong = (text) => ({ text, strong: true });
  return {
    waveform: { words: [strong(t("Waveform"))] },
    spectrogram: {
      words: [strong(t("Log-mel spectrogram")), ...(chosen ? [{ text: evidenceOf(chosen) }] : [])],
      unit: "Hz",
      scale: chosen && data.scale,
    },
    spectrum: {
      words: [strong(t("Spectrogram")), { text: menu.windowInWords }, ...(menu.isShown("formants") ? [{ text: t("formants"), colour: FORMANT }] : [])],
      unit: "Hz",
    },
    f0: { words: [strong("F0")], unit: "Hz" },
    intensity: { words: [strong(t("Intensity"))], unit: "dB" },
    hnr: { words: [strong(t("Harmonics-to-noise ratio"))], unit: "dB" },
    tilt: { words: [strong(t("Spectral tilt"))], unit: "dB/oct" },
    profile: { words: data.profile ? [strong(data.profile.title), { text: data.profile.note }] : [strong(t("Evidence over time"))] },
    scores: { words: [strong(t("Segment scores")), ...(data.scores?.emotions ?? []).map(({ name, colour }) => ({ text: name, colour }))] },
    words: { words: [strong(t("Words")), { text: t("click to play") }] },
    regions: { words: [strong(data.regionsTitle), { text: data.editable ? t("drag to draw") : t("click to play") }] },
    tiers: { words: [strong(t("Tiers")), { text: t("click to play, drag to draw") }] },
    others: { words: [strong(data.othersTitle), { text: t("click to play") }] },
    ruler: { words: [] },
  };
}

function evidenceOf({ name, emotion, against }) {
  if (!against) return t("{map}: evidence for {emotion}", { map: name, emotion });
  return t("{map}: evidence for {emotion} versus {against}", { map: name, emotion, against });
}

// One row per segment: its centre, whether it is selected, and its score of each emotion.
export async function fetchScores({ url, segments, emotions }) {
  const columns = 2 + emotions.length;
  const all = new Float32Array(await fetchBytes(url, 0, 4 * columns * segments));
  return Array.from({ length: segments }, (_, index) => {
    const [time, selected, ...scores] = all.subarray(index * columns, (index + 1) * columns);
    return { time, selected: selected > 0, scores };
  });
}

// The values under the pointer, in words.
export function readoutAt(picture, lanes, axis, { x, y }) {
  const time = axis.time(x);
  const lane = lanes.laneAt(y);
  const seconds = axis.clock(time, 3);
  const words = [axis.origin + time < 60 ? t("{seconds} s", { seconds }) : seconds];
  if (lane === "spectrogram") words.push(...spectrogramAt(picture, lanes.lanes.spectrogram, time, y));
  else if (picture.profile) {
    const value = picture.profile.values.valueAt(time, 0);
    if (value !== null) words.push(t("mean relevance {value}", { value: digits(value) }));
  }
  if (lane === "scores" && picture.scores) words.push(...scoresAt(picture.scores, time));
  if (lane === "spectrum") words.push(...spectrumAt(picture.spectrum, lanes.lanes.spectrum, time, y));
  if (lane === "f0" && picture.f0) words.push(`${Math.round(picture.f0.hz((lanes.lanes.f0.bottom - y) / lanes.lanes.f0.height))} Hz`);
  words.push(...tracksAt(picture.tracks, time));
  return words.join(" · ");
}

function spectrogramAt({ spectrogram, overlay }, lane, time, y) {
  const { values, rows, hz, low, high } = spectrogram;
  const row = clamp(Math.floor(((lane.bottom - y) / lane.height) * rows), 0, rows - 1);
  const words = [`${Math.round(hz[row])} Hz`];
  const level = values.valueAt(time, row);
  if (level !== null) words.push(`${signed((NEPER_IN_DB * (low + (level / 255) * (high - low))).toFixed(0))} dB`);
  const relevance = overlay?.values.valueAt(time, row) ?? null;
  if (relevance === null) return words;
  const certainty = overlay.errors ? errorAt(overlay.errors, time, row) : "";
  return [...words, t("relevance {value}", { value: digits((relevance / INT16_MAX) * overlay.most) + certainty })];
}

// Errors are not drawn, so their tiles are fetched where the pointer is.
function errorAt({ values, most }, time, row) {
  for (const { tile } of values.between(time, time + values.column, 0)) if (!tile) return "";
  const error = values.valueAt(time, row);
  return error === null ? "" : ` ± ${digits((error / INT16_MAX) * most, 1)}`;
}

function spectrumAt({ spectrogram, frequencies }, lane, time, y) {
  const share = clamp((lane.bottom - y) / lane.height, 0, 1);
  const level = spectrogram.valueAt(time, share);
  return [`${Math.round(frequencies.hz(share))} Hz`, ...(level === null ? [] : [`${signed(level.toFixed(0))} dB/Hz`])];
}

const TRACK_WORDS = {
  f0: (value) => `F0 ${value.toFixed(0)} Hz`,
  intensity: (value) => t("intensity {value} dB", { value: signed(decimal(value, 1)) }),
  hnr: (value) => t("HNR {value} dB", { value: signed(decimal(value, 1)) }),
  tilt: (value) => t("tilt {value} dB/octave", { value: signed(decimal(value, 1)) }),
};

function tracksAt({ names, values }, time) {
  const at = (name) => values?.valueAt(time, TRACKS.indexOf(name)) ?? NaN;
  return names.filter((name) => !Number.isNaN(at(name))).map((name) => TRACK_WORDS[name](at(name)));
}

function scoresAt({ segments, emotions }, time) {
  if (!segments.length) return [];
  const nearest = segments.reduce((best, one) => (Math.abs(one.time - time) < Math.abs(best.time - time) ? one : best));
  return emotions.map(({ name }, index) => `${name} ${decimal(nearest.scores[index], 2)}`);
}

export const signed = (text) => text.replace("-", "−");
const digits = (value, count = 2) => signed(decimal(Number(value.toPrecision(count))));

// --- colours ---

// "#rrggbb", "rgb(...)" or "rgba(...)" as red, green, blue 0..255 and alpha 0..1.
function channels(colour) {
  if (colour.startsWith("#")) return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return colour.match(/[\d.]+/g).map(Number);
}

// [[0..1, colour], ...] as a table of red, green, blue, alpha, each 0..255.
export function colourTable(stops) {
  const corners = stops.map(([at, text]) => {
    const [red, green, blue, alpha = 1] = channels(text);
    return { at, colour: [red, green, blue, 255 * alpha] };
  });
  const table = new Uint8ClampedArray(4 * MAP_STEPS);
  for (let step = 0; step < MAP_STEPS; step++) {
    const at = step / (MAP_STEPS - 1);
    const next = Math.max(1, corners.findIndex((corner) => corner.at >= at));
    const [low, high] = [corners[next - 1], corners[next]];
    const share = clamp((at - low.at) / (high.at - low.at), 0, 1);
    table.set(low.colour.map((value, index) => value + share * (high.colour[index] - value)), 4 * step);
  }
  return table;
}

// The colour behind a word, for its share of the strongest word's evidence, -1 to 1: blue against, red for, as on the
// maps, but so weak that text on it is readable in both themes.
export const shadeOf = (share) => `rgba(${share > 0 ? "227, 74, 51" : "66, 146, 198"}, ${(0.5 * Math.min(1, Math.abs(share))).toFixed(3)})`;

// Speech is dark in the light theme and light in the dark theme, so silence recedes in both.
export function greyTable(dark) {
  return colourTable(dark ? [[0, "rgb(12,14,18)"], [1, "rgb(232,234,238)"]] : [[0, "rgb(255,255,255)"], [1, "rgb(28,30,36)"]]);
}

export function themeOf(element) {
  const style = getComputedStyle(element);
  const colour = (name, other) => style.getPropertyValue(name).trim() || other;
  const ground = colour("--st-background-color", "#ffffff");
  return {
    ground,
    text: colour("--st-text-color", "#31333f"),
    font: colour("--st-font", "sans-serif"),
    dark: lightness(ground) < 0.5,
  };
}

function lightness(colour) {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}

// Draw a tile of a map, lowest band at the bottom; `shade` maps a value to a step of the colour table.
export function paintTile(tile, rows, table, shade) {
  const { data, columns } = tile;
  const canvas = new OffscreenCanvas(columns, rows);
  const image = new ImageData(columns, rows);
  const colours = new Uint32Array(table.buffer);
  const pixels = new Uint32Array(image.data.buffer);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) {
      pixels[(rows - 1 - row) * columns + column] = colours[shade(data[column * rows + row])];
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
