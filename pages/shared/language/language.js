// The texts of the scripts in the visit's language.

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
