// Plays one recording at a time; hovering plays only after the visitor has switched the sound on.

import { t } from "../../../language/language.js";

const DWELL_MS = 160;

export class Sound {
  constructor(request, onFailure) {
    Object.assign(this, { request, onFailure, on: false, requested: -1, audio: new Audio() });
    this.audio.addEventListener("error", () => this.audio.src && onFailure(t("This recording cannot be played here.")));
  }

  switch(on) {
    this.on = on;
    if (!on) this.stop();
  }

  hover(index) {
    clearTimeout(this.timer);
    if (!this.on) return;
    if (index < 0) return this.stop();
    if (index !== this.requested) this.timer = setTimeout(() => this.play(index), DWELL_MS);
  }

  // The space bar starts and stops.
  toggle(index) {
    if (index === this.requested && !this.audio.paused) this.stop();
    else this.play(index);
  }

  play(index) {
    clearTimeout(this.timer);
    this.audio.pause();
    this.requested = index;
    if (this.response?.index === index) this.begin();
    else this.request(index);
  }

  stop() {
    clearTimeout(this.timer);
    this.requested = -1;
    this.audio.pause();
  }

  // Takes the response of the server; by then the pointer may have moved on.
  receive(response) {
    if (!response || response.number === this.response?.number) return;
    this.response = response;
    if (response.index === this.requested) this.begin();
  }

  begin() {
    const { address, refusal } = this.response;
    if (!address) return this.onFailure(refusal);
    this.audio.src = address;
    this.audio.play().catch((reason) => reason.name === "AbortError" || this.onFailure(t("The browser does not play sound.")));
  }
}
