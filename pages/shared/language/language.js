// The texts, numbers and times of the scripts in the visit's language.

// Translations by the English text; `components.py` fills them in.
const TRANSLATIONS = {};
const DECIMAL_SIGN = ".";

// A text in the visit's language, with its fields, such as t("Region {name}", { name }).
export function t(text, values = {}) {
  return (TRANSLATIONS[text] ?? text).replace(/\{(\w+)\}/g, (field, name) => values[name] ?? field);
}

// The text for one or for many; the number is the field `n`.
export function plural(n, one, many, values = {}) {
  return t(n === 1 ? one : many, { n, ...values });
}

// Format a number for the visit's language, with this many decimals, by default with as many as it has.
export function decimal(value, digits) {
  return (digits === undefined ? String(value) : value.toFixed(digits)).replace(".", DECIMAL_SIGN);
}

// Seconds; from one minute on minutes and seconds, and from one hour on hours too.
export function clock(time, decimals) {
  if (time < 60) return decimal(time, decimals);
  const rounded = Number(time.toFixed(decimals)); // before the minutes, or 119.999 could become 1:60
  const minutes = Math.floor(rounded / 60);
  const seconds = decimal(rounded - 60 * minutes, decimals).padStart(decimals ? 3 + decimals : 2, "0");
  if (minutes < 60) return `${minutes}:${seconds}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${seconds}`;
}

// A time for a field, to the millisecond: seconds, or with the minutes and hours that the longest time has.
export function typedTime(time, longest) {
  const rounded = Math.round(time * 1000);
  if (longest < 60) return decimal(rounded / 1000, 3);
  const [hours, minutes] = [Math.floor(rounded / 3_600_000), Math.floor(rounded / 60_000)];
  const two = (number) => String(number).padStart(2, "0");
  const seconds = decimal((rounded % 60_000) / 1000, 3).padStart(6, "0");
  return longest < 3600 ? `${minutes}:${seconds}` : `${hours}:${two(minutes % 60)}:${seconds}`;
}

// The seconds of a typed time: of seconds alone, of minutes and seconds, or of hours too; NaN if it is none.
export function secondsOf(text) {
  const found = /^(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?|[.,]\d+)$/.exec(text.trim());
  if (!found) return NaN;
  const [hours, minutes, seconds] = found.slice(1).map((part) => Number((part ?? "0").replace(",", ".")));
  if ((found[1] && minutes >= 60) || (found[2] && seconds >= 60)) return NaN;
  return 3600 * hours + 60 * minutes + seconds;
}
