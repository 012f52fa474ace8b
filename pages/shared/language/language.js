// The texts of the scripts in the visit's language.

// By their English; `components.py` fills it in.
const TRANSLATIONS = {};
const DECIMAL_SIGN = ".";

// A text in the visit's language, with its fields, such as t("{n} s", { n: 2 }).
export function t(text, values = {}) {
  return (TRANSLATIONS[text] ?? text).replace(/\{(\w+)\}/g, (field, name) => values[name] ?? field);
}

// The text for one or for many; the number is the field `n`.
export function plural(n, one, many, values = {}) {
  return t(n === 1 ? one : many, { n, ...values });
}

// A number with so many decimals, as the visit's language writes it.
export function decimal(value, digits) {
  return value.toFixed(digits).replace(".", DECIMAL_SIGN);
}
