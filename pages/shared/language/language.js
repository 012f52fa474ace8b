// The texts of the scripts in the visit's language.

// By their English; `components.py` fills it in.
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

// A number with so many decimals, else with those that it has, as the visit's language writes it.
export function decimal(value, digits) {
  return (digits === undefined ? String(value) : value.toFixed(digits)).replace(".", DECIMAL_SIGN);
}
