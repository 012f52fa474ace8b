// Plays one recording after the other; hovering plays only once the visitor has switched the sound on.

import { t } from "../../../language/language.js";

const DWELL_MS = 160;

export class Sound {
  constructor(ask, failed) {
    Object.assign(this, { ask, failed, on: false, wanted: -1, audio: new Audio() });
    this.audio.addEventListener("error", () => this.audio.src && failed(t("This recording cannot be played here.")));
  }

  switch(on) {
    this.on = on;
    if (!on) this.stop();
  }

  hover(index) {
    clearTimeout(this.timer);
    if (!this.on) return;
    if (index < 0) return this.stop();
    if (index !== this.wanted) this.timer = setTimeout(() => this.play(index), DWELL_MS);
  }

  // Space plays, and stops what plays.
  toggle(index) {
    if (index === this.wanted && !this.audio.paused) this.stop();
    else this.play(index);
  }

  play(index) {
    clearTimeout(this.timer);
    this.audio.pause();
    this.wanted = index;
    if (this.answer?.index === index) this.begin();
    else this.ask(index);
  }

  stop() {
    clearTimeout(this.timer);
    this.wanted = -1;
    this.audio.pause();
  }

  // What the server found; by then the pointer may have moved on.
  receive(answer) {
    if (!answer || answer.number === this.answer?.number) return;
    this.answer = answer;
    if (answer.index === this.wanted) this.begin();
  }

  begin() {
    const { address, refusal } = this.answer;
    if (!address) return this.failed(refusal);
    this.audio.src = address;
    this.audio.play().catch((reason) => reason.name === "AbortError" || this.failed(t("The browser does not play sound.")));
  }
}
