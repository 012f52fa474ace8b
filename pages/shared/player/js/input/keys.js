// The keys and their actions. They work only while the focus is in the player, and keys of one character can be switched
// off.

import { t } from "../../../language/language.js";

// [keys as shown, keys as the browser names them, description, action]
const KEYS = [
  [t("Space"), [" "], t("play or pause (the selection, if any)"), (player) => player.toggle()],
  ["← →", ["ArrowLeft", "ArrowRight"], t("move by 1/50 of the view"), (player, direction) => player.step(direction)],
  [t("Shift ← →"), [], t("extend the selection"), (player, direction) => player.extend(direction)],
  [t("Home, End"), ["Home", "End"], t("go to the start or end"), (player, direction) => player.seek(direction < 0 ? 0 : player.axis.duration)],
  ["L", ["l", "L"], t("loop on or off"), (player) => player.toggleLoop()],
  ["+ −", ["+", "=", "-", "_"], t("zoom in or out"), (player, direction) => player.zoom(direction < 0 ? 1 / 1.5 : 1.5)],
  ["0", ["0"], t("show the whole recording"), (player) => player.showAll()],
  ["Z", ["z", "Z"], t("zoom to the selection"), (player) => player.zoomToSelection()],
  ["W", ["w", "W"], t("play what is in view"), (player) => player.playView()],
  ["E", ["e", "E"], t("type the bounds of the selection"), (player) => player.bounds.type()],
  [", .", ["Comma", "Period"], t("move an edge of the selection by 1 ms, with Shift by 10 ms"), (player, direction, _, event) => player.bounds.nudge(direction * (event.shiftKey ? 0.01 : 0.001))],
  ["X", ["x", "X"], t("move the other edge"), (player) => player.bounds.turn()],
  ["O", ["o", "O"], t("move both edges to where the sound crosses zero"), (player) => player.bounds.toZero()],
  [t("Escape"), ["Escape"], t("clear the selection"), (player) => player.escape()],
  ["V", ["v", "V"], t("choose what is shown: spectrogram, F0, formants and others"), (player) => player.menu.toggle()],
  ["F", ["f", "F"], t("fill the window with the player, and back"), (player) => player.toggleFull()],
  ["C", ["c", "C"], t("measure the selection, and copy its measures"), (player) => player.menu.copy()],
  ["?", ["?"], t("show or hide this list"), (player) => player.bar.help()],
];
const BACKWARD = ["ArrowLeft", "ArrowDown", "Home", "-", "_", "j", "PageUp", "Comma"];
const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8"];
const EDITING_KEYS = [
  [t("1 to 9"), [...DIGITS, "9"], t("label the selected region or time range (9 in tiers only); with Shift the whole recording"), (player, _, key, event) => player.marks.label(Number(key) - 1, event.shiftKey)],
  ["R", ["r", "R"], t("turn the selection into a region"), (player) => player.marks.selectionToRegion()],
  ["J K", ["j", "k"], t("select the previous or next region"), (player, direction) => player.marks.keyTarget.chooseNext(direction)],
  ["A", ["a", "A"], t("accept the selected suggestion"), (player) => player.marks.keyTarget.accept()],
  ["S", ["s", "S"], t("split at the playhead"), (player) => player.marks.split()],
  ["M", ["m", "M"], t("merge the selected region with the next"), (player) => player.marks.merge()],
  [t("F2, Delete"), [], t("rename or delete the focused region")],
  ["I", ["i", "I"], t("then 1 to 5: intensity of the selected region, else of the whole recording"), (player) => player.commands.ask("intensity")],
  ["P", ["p", "P"], t("then 1 to 9 or 0: confidence, 10 to 90 or 100 %, likewise"), (player) => player.commands.ask("confidence")],
  ["D", ["d", "D"], t("this recording is done, or is not"), (player) => player.commands.setDone(!player.data.done)],
  ["N", ["n", "N"], t("done, and open the next recording"), (player) => player.commands.doneAndNext()],
  [t("Page up, down"), ["PageUp", "PageDown"], t("previous or next recording"), (player, direction) => player.commands.turn(direction < 0 ? "previous" : "next")],
  ["Q", ["q", "Q"], t("back to the queue"), (player) => player.commands.send("queue", null, t("Opening the queue"))],
];
// If F0 can be corrected: the first key, and the others while it is being corrected.
const F0_KEYS = [
  ["T", ["t", "T"], t("correct F0 by hand: in its lane, a drag draws"), (player) => player.f0.toggle()],
  ["↓ ↑", ["ArrowDown", "ArrowUp"], t("halve or double F0 of the selection"), (player, direction) => player.f0.apply(direction < 0 ? "halve" : "double")],
  ["U", ["u", "U"], t("make the selection unvoiced"), (player) => player.f0.apply("unvoice")],
  ["Y", ["y", "Y"], t("voice it again, as measured"), (player) => player.f0.apply("voice")],
  ["G", ["g", "G"], t("type F0 at both ends of the selection"), (player) => player.f0.type()],
  ["B", ["b", "B"], t("restore the measured F0 of the selection"), (player) => player.f0.apply("reset")],
];
// If there are several channels, and while the letter does not correct F0.
const CHANNEL_KEY = ["B", ["b", "B"], t("then 1 to 8: the channel that it is about; 1 is the first or all"), (player) => player.commands.ask("channel")];
export const VALUES = {
  intensity: {
    letter: "i",
    question: t("Intensity: 1 to 5, or I for none"),
    parse: (key) => (/^[1-5]$/.test(key) ? Number(key) : undefined),
    words: (value) => t("Intensity {value}", { value }),
    none: t("No intensity"),
  },
  confidence: {
    letter: "p",
    question: t("Confidence: 1 to 9 for 10 to 90 %, 0 for 100 %, or P for none"),
    parse: (key) => (/^[0-9]$/.test(key) ? (Number(key) || 10) / 10 : undefined),
    words: (value) => t("Confidence {value} %", { value: Math.round(100 * value) }),
    none: t("No confidence"),
  },
  channel: {
    letter: "b",
    question: t("Channel: its number; 1, or B, for the first or all"),
    parse: (key, { recording }) => (/^[1-8]$/.test(key) && Number(key) <= recording.channels ? (key === "1" ? null : Number(key)) : undefined),
    words: (value) => t("Channel {value}", { value }),
    none: t("Channel 1 or all"),
  },
};
const versionKeys = ({ length }) => {
  const digits = DIGITS.slice(0, length);
  return length ? [[digits.join(" "), digits, t("play one of the versions"), (player, _, key) => player.bar.playVersion(Number(key) - 1)]] : [];
};
export const POINTER = [
  [t("Click, drag"), [], t("go to a time, select a range; click a word or another person's mark to play it")],
  [t("Ctrl + wheel"), [], t("zoom; Shift + wheel pans")],
];
export const EDITING_POINTER = [
  [t("Ctrl + Z, Y"), [], t("undo, redo")],
  [t("Drag a region"), [], t("move it or its edge; hold Alt to switch off snapping")],
  [t("Ctrl + drag"), [], t("on the spectrogram: draw a region of time and frequency")],
];

const LONG_KEYS = [["H", ["h", "H"], t("show what the model sees in view, and measure it"), (player) => player.commands.analyse()]];

export function keysOf(player) {
  const { data, regions } = player;
  const ofLong = regions.editable && data.recording?.long ? LONG_KEYS : [];
  const ofF0 = player.f0.offered ? F0_KEYS.slice(0, player.f0.on ? F0_KEYS.length : 1) : [];
  const ofChannels = regions.editable && data.recording?.channels > 1 && !player.f0.on ? [CHANNEL_KEY] : [];
  return [...KEYS, ...(regions.editable ? EDITING_KEYS : []), ...ofChannels, ...ofF0, ...ofLong, ...versionKeys(data.sounds)];
}

// Keys that a focused control needs itself: all in text fields and lists, two on buttons and links.
const TAKES_TEXT = "select, input, textarea";
const BUTTON = ".bar button, .menu button, .measures button, .f0 button, .suggestion button, .sounds button, .transcript button, .table :is(button, a)";

function isOfControl({ target, key }) {
  if (target.closest(TAKES_TEXT)) return !["Escape", "?"].includes(key);
  return Boolean(target.closest(BUTTON)) && [" ", "Enter"].includes(key);
}

// The name of a key; the characters of digits, comma and period depend on the layout or on Shift.
function nameOf({ code, key }) {
  if (/^(Digit|Numpad)[0-9]$/.test(code)) return code.at(-1);
  return ["Comma", "Period"].includes(code) ? code : key;
}

export function pressKey(player, event) {
  if (event.ctrlKey || event.metaKey) return undoOrRedo(player, event);
  if (event.altKey || isOfControl(event)) return;
  if (!oneCharacter.on && event.key.length === 1 && event.key !== " ") return;
  const key = nameOf(event);
  const answered = player.commands.answer(key);
  const found = answered ? null : keysOf(player).find(([, names]) => names.includes(key));
  if (!answered && !found) return;
  event.preventDefault();
  event.stopPropagation();
  if (answered || player.commands.postpones(event, [...EDITING_KEYS, CHANNEL_KEY, ...F0_KEYS].includes(found))) return;
  if (!found[1].includes("Comma")) player.marks.keyTarget.settle();
  const action = event.shiftKey && ["ArrowLeft", "ArrowRight"].includes(key) ? KEYS[2][3] : found[3];
  action(player, BACKWARD.includes(key) ? -1 : 1, key, event);
}

function undoOrRedo(player, event) {
  const key = event.key.toLowerCase();
  if (!player.regions.editable || !["z", "y"].includes(key)) return;
  event.preventDefault();
  event.stopPropagation();
  if (player.commands.postpones(event, true)) return;
  player.marks.keyTarget.settle();
  if (key === "y" || event.shiftKey) player.commands.send("redo", null, t("Redo"));
  else player.commands.send("undo", null, t("Undo"));
}

// Whether keys of one character are on (WCAG 2.1.4), for all players in this browser.
const STORED = "hear-why-no-letters";
export const oneCharacter = {
  get on() {
    try {
      return !localStorage.getItem(STORED);
    } catch {
      return true; // refused by the browser
    }
  },
  set on(on) {
    try {
      if (on) localStorage.removeItem(STORED);
      else localStorage.setItem(STORED, "off");
    } catch {
      // Refused by the browser; they stay on.
    }
  },
};
