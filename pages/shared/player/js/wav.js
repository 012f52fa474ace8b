// Fetch byte ranges, and the samples of part of a WAV file (mono, 16 bits).

export const FULL_SCALE = 32768;
export const RETRY_MS = 500;
export const LONGEST_RETRY_MS = 60000;
const FADE = 0.005;

// Fetch from the first byte up to `end` (exclusive). Bypass the browser's cache, where a request waits for other requests
// of the same file, such as the media element's.
export async function fetchBytes(url, first, end) {
  const answer = await fetch(url, { headers: { Range: `bytes=${first}-${end - 1}` }, cache: "no-store" });
  if (!answer.ok) throw new Error(`${answer.status} for ${url}`);
  const bytes = await answer.arrayBuffer();
  return answer.status === 206 ? bytes : bytes.slice(first, end);
}

export async function readHeader(url) {
  return parseHeader(new DataView(await fetchBytes(url, 0, 4096)));
}

// Walk over the chunks to the samples; other chunks may come first.
export function parseHeader(view) {
  const name = (at) => String.fromCharCode(...new Uint8Array(view.buffer, at, 4));
  if (name(0) !== "RIFF" || name(8) !== "WAVE") throw new Error("not a WAV file");
  let format = null;
  for (let at = 12; at + 8 <= view.byteLength; at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) % 2)) {
    if (name(at) === "fmt ") {
      format = { channels: view.getUint16(at + 10, true), rate: view.getUint32(at + 12, true), bits: view.getUint16(at + 22, true) };
    }
    if (name(at) === "data") {
      if (format?.channels !== 1 || format.bits !== 16) throw new Error("not a WAV file of one channel and 16 bits");
      return { rate: format.rate, offset: at + 8, samples: view.getUint32(at + 4, true) / 2 };
    }
  }
  throw new Error("a WAV file without samples");
}

export async function fetchStretch(url, header, { start, end }) {
  const first = Math.round(start * header.rate);
  const last = Math.min(Math.round(end * header.rate), header.samples);
  const bytes = await fetchBytes(url, header.offset + 2 * first, header.offset + 2 * last);
  return Float32Array.from(new Int16Array(bytes), (sample) => sample / FULL_SCALE);
}

// Fade in and out by half a cosine, as in the files of focus regions.
export function withFades(samples, rate) {
  const faded = samples.slice();
  const length = Math.min(Math.round(FADE * rate), Math.floor(faded.length / 2));
  for (let index = 0; index < length; index++) {
    const gain = 0.5 - 0.5 * Math.cos((Math.PI * (index + 0.5)) / length);
    faded[index] *= gain;
    faded[faded.length - 1 - index] *= gain;
  }
  return faded;
}

// Start playing samples from `offset`.
export function playSamples(context, samples, rate, offset, loop) {
  const buffer = context.createBuffer(1, samples.length, rate);
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer, loop });
  const gain = new GainNode(context);
  source.connect(gain).connect(context.destination);
  const startedAt = context.currentTime;
  if (offset > 0) {
    gain.gain.setValueAtTime(0, startedAt);
    gain.gain.linearRampToValueAtTime(1, startedAt + FADE);
  }
  source.start(startedAt, offset);
  return { source, gain, startedAt, offset, cyclic: loop };
}

export function fadeOut(context, { source, gain }) {
  const now = context.currentTime;
  gain.gain.cancelScheduledValues(now);
  gain.gain.setValueAtTime(gain.gain.value, now);
  gain.gain.linearRampToValueAtTime(0, now + FADE);
  source.stop(now + FADE);
}
