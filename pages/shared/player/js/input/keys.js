// The keys, and what each of them does. They work only while the focus is in the player, and those of one character can be
// switched off.

// [keys as shown, keys as the browser names them, description, action]
const KEYS = [
  ["Space", [" "], "play or pause (the selection, if any)", (player) => player.toggle()],
  ["← →", ["ArrowLeft", "ArrowRight"], "move by 1/50 of the view", (player, way) => player.step(way)],
  ["Shift ← →", [], "extend the selection", (player, way) => player.extend(way)],
  ["Home, End", ["Home", "End"], "go to the start or end", (player, way) => player.seek(way < 0 ? 0 : player.axis.duration)],
  ["L", ["l", "L"], "loop on or off", (player) => player.toggleLoop()],
  ["+ −", ["+", "=", "-", "_"], "zoom in or out", (player, way) => player.zoom(way < 0 ? 1 / 1.5 : 1.5)],
  ["0", ["0"], "show the whole recording", (player) => player.showAll()],
  ["Z", ["z", "Z"], "zoom to the selection", (player) => player.zoomToSelection()],
  ["W", ["w", "W"], "play what is in view", (player) => player.playView()],
  ["E", ["e", "E"], "type the bounds of the selection", (player) => player.bounds.type()],
  [", .", ["Comma", "Period"], "move an edge of the selection by 1 ms, with Shift by 10 ms", (player, way, _, event) => player.bounds.nudge(way * (event.shiftKey ? 0.01 : 0.001))],
  ["X", ["x", "X"], "move the other edge", (player) => player.bounds.turn()],
  ["O", ["o", "O"], "move both edges to where the sound crosses zero", (player) => player.bounds.toZero()],
  ["Escape", ["Escape"], "clear the selection", (player) => player.escape()],
  ["V", ["v", "V"], "choose what is shown: spectrogram, F0, formants and others", (player) => player.menu.toggle()],
  ["F", ["f", "F"], "fill the window with the player, and back", (player) => player.toggleFull()],
  ["C", ["c", "C"], "measure the selection, and copy its measures", (player) => player.menu.copy()],
  ["?", ["?"], "show or hide this list", (player) => player.bar.help()],
];
const BACKWARD = ["ArrowLeft", "Home", "-", "_", "j", "PageUp", "Comma"];
const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8"];
const EDITING_KEYS = [
  ["1 to 9", [...DIGITS, "9"], "label the selected region or time range (9 in tiers only); with Shift the whole recording", (player, _, key, event) => player.label(Number(key) - 1, event.shiftKey)],
  ["R", ["r", "R"], "turn the selection into a region", (player) => player.selectionToRegion()],
  ["J K", ["j", "k"], "select the previous or next region", (player, way) => player.keyed.chooseNext(way)],
  ["A", ["a", "A"], "accept the selected suggestion", (player) => player.regions.accept()],
  ["S", ["s", "S"], "split at the playhead", (player) => player.split()],
  ["M", ["m", "M"], "merge the selected region with the next", (player) => player.merge()],
  ["F2, Delete", [], "rename or delete the focused region"],
  ["I", ["i", "I"], "then 1 to 5: intensity of the selected region, else of the whole recording", (player) => player.askFor("intensity")],
  ["P", ["p", "P"], "then 1 to 9 or 0: confidence, 10 to 90 or 100 %, likewise", (player) => player.askFor("confidence")],
  ["D", ["d", "D"], "this recording is done, or is not", (player) => player.setDone(!player.data.done)],
  ["N", ["n", "N"], "done, and open the next recording", (player) => player.doneAndNext()],
  ["Page up, down", ["PageUp", "PageDown"], "previous or next recording", (player, way) => player.turn(way < 0 ? "previous" : "next")],
  ["Q", ["q", "Q"], "back to the queue", (player) => player.command("queue", null, "Opening the queue")],
];
export const VALUES = {
  intensity: {
    letter: "i",
    question: "Intensity: 1 to 5, or I for none",
    of: (key) => (/^[1-5]$/.test(key) ? Number(key) : undefined),
    words: (value) => `Intensity ${value}`,
  },
  confidence: {
    letter: "p",
    question: "Confidence: 1 to 9 for 10 to 90 %, 0 for 100 %, or P for none",
    of: (key) => (/^[0-9]$/.test(key) ? (Number(key) || 10) / 10 : undefined),
    words: (value) => `Confidence ${Math.round(100 * value)} %`,
  },
};
const soundKeys = ({ length }) => {
  const digits = DIGITS.slice(0, length);
  return length ? [[digits.join(" "), digits, "play one of the versions", (player, _, key) => player.bar.playVersion(Number(key) - 1)]] : [];
};
export const POINTER = [
  ["Click, drag", [], "go to a time, select a range; click a word or another person's mark to play it"],
  ["Ctrl + wheel", [], "zoom; Shift + wheel pans"],
];
export const EDITING_POINTER = [
  ["Ctrl + Z, Y", [], "undo, redo"],
  ["Drag a region", [], "move it or its edge; hold Alt to switch off snapping"],
  ["Ctrl + drag", [], "on the spectrogram: draw a region of time and frequency"],
];

const LONG_KEYS = [["H", ["h", "H"], "show what the model sees in view, and measure it", (player) => player.analyse()]];

export function keysOf(player) {
  const { data, regions } = player;
  const ofLong = regions.editable && data.recording?.long ? LONG_KEYS : [];
  return [...KEYS, ...(regions.editable ? EDITING_KEYS : []), ...ofLong, ...soundKeys(data.sounds)];
}

// Which keys a focused control needs itself: text and lists all, buttons and links two.
const TAKES_TEXT = "select, input, textarea";
const BUTTON = ".bar button, .menu button, .measures button, .sounds button, .transcript button, .table :is(button, a)";

function isOfControl({ target, key }) {
  if (target.closest(TAKES_TEXT)) return !["Escape", "?"].includes(key);
  return Boolean(target.closest(BUTTON)) && [" ", "Enter"].includes(key);
}

// The characters of these keys depend on the layout or on Shift.
function nameOf({ code, key }) {
  if (/^(Digit|Numpad)[0-9]$/.test(code)) return code.at(-1);
  return ["Comma", "Period"].includes(code) ? code : key;
}

export function pressKey(player, event) {
  if (event.ctrlKey || event.metaKey) return undoOrRedo(player, event);
  if (event.altKey || isOfControl(event)) return;
  if (!oneCharacter.on && event.key.length === 1 && event.key !== " ") return;
  const key = nameOf(event);
  const asked = player.answer(key);
  const found = asked ? null : keysOf(player).find(([, names]) => names.includes(key));
  if (!asked && !found) return;
  event.preventDefault();
  event.stopPropagation();
  if (asked || player.holds(event, EDITING_KEYS.includes(found))) return;
  if (!found[1].includes("Comma")) player.keyed.settle();
  const action = event.shiftKey && key.startsWith("Arrow") ? KEYS[2][3] : found[3];
  action(player, BACKWARD.includes(key) ? -1 : 1, key, event);
}

function undoOrRedo(player, event) {
  const key = event.key.toLowerCase();
  if (!player.regions.editable || !["z", "y"].includes(key)) return;
  event.preventDefault();
  event.stopPropagation();
  if (player.holds(event, true)) return;
  player.keyed.settle();
  if (key === "y" || event.shiftKey) player.command("redo", null, "Redo");
  else player.command("undo", null, "Undo");
}

// Whether keys of one character do anything (WCAG 2.1.4), for all players of this browser.
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
      // Then they stay on.
    }
  },
};
