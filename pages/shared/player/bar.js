// The bar above the lanes, and the list of keys.

Object.assign(Player.prototype, {
  buildBar() {
    const buttons = {
      play: () => this.toggle(),
      loop: () => this.toggleLoop(),
      out: () => this.zoom(1 / 1.5),
      in: () => this.zoom(1.5),
      all: () => this.showAll(),
      ask: () => this.help(),
    };
    for (const [name, deed] of Object.entries(buttons)) {
      const button = this.find(`.bar .${name}`);
      button.innerHTML = icon(name);
      button.addEventListener("click", deed);
    }
    this.find(".play").setAttribute("aria-label", "Play (Space)");
    const speed = this.find(".speed select");
    speed.append(...SPEEDS.map((rate) => new Option(`${rate}×`, rate, rate === 1, rate === 1)));
    speed.addEventListener("change", () => this.sound.setRate(Number(speed.value)));
    for (const choice of [".overlay select", ".opacity input", ".colours select"]) {
      this.find(choice).addEventListener("input", () => this.refresh());
    }
  },

  // The one that was chosen stays chosen while it is there, and so does none.
  offerOverlays() {
    const { overlays, spectrogram } = this.data;
    const list = this.find(".overlay select");
    const names = overlays.map(({ name }) => name);
    const before = [...list.options].map(({ value }) => value).slice(1);
    if (before.join("\n") !== names.join("\n")) {
      const none = list.options.length > 1 && list.value === "";
      const chosen = none ? "" : names.includes(list.value) ? list.value : (names[0] ?? "");
      list.replaceChildren(new Option("none", ""), ...names.map((name) => new Option(name, name)));
      list.value = chosen;
    }
    this.find(".overlay").hidden = this.find(".opacity").hidden = !names.length;
    this.find(".colours").hidden = !spectrogram;
    if (this.coloured === undefined && !names.length) this.find(".colours select").value = "magma";
  },

  // The one that was chosen stays chosen while it is there: made anew it is heard at once.
  offerSounds() {
    const { sounds, recording } = this.data;
    const group = this.find(".sounds");
    group.hidden = !sounds.length;
    const chosen = sounds.find(({ name }) => name === this.heard) ?? sounds[0] ?? recording;
    this.heard = chosen.name;
    this.sound.offer(sounds.map(({ url }) => url));
    this.sound.turnTo(chosen.url);
    const known = [...group.children].map(({ textContent }) => textContent);
    if (known.join("\n") !== sounds.map(({ name }) => name).join("\n")) {
      group.replaceChildren(...sounds.map((_, place) => this.soundButton(place)));
    }
    this.markSound();
  },

  soundButton(place) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: this.data.sounds[place].name, title: `Hear this (${place + 1})` });
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => this.hear(place));
    button.addEventListener("keydown", (event) => {
      const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!way) return;
      event.preventDefault();
      event.stopPropagation();
      const { length } = this.data.sounds;
      this.hear((place + way + length) % length, true);
    });
    return button;
  },

  hear(place, focus = false) {
    const chosen = this.data.sounds[place];
    if (!chosen) return;
    this.heard = chosen.name;
    this.sound.turnTo(chosen.url);
    this.markSound(focus);
    this.say(`Hearing ${chosen.name}`);
  },

  markSound(focus = false) {
    [...this.find(".sounds").children].forEach((button, place) => {
      const chosen = this.data.sounds[place].name === this.heard;
      button.setAttribute("aria-checked", chosen);
      button.tabIndex = chosen ? 0 : -1;
      if (chosen && focus) button.focus();
    });
  },

  help() {
    const box = this.find(".help");
    box.hidden = !box.hidden;
    this.find(".ask").setAttribute("aria-expanded", !box.hidden);
    if (box.hidden) return;
    const list = document.createElement("dl");
    for (const [keys, , words] of [...keysOf(this), ...POINTER, ...(this.regions.editable ? EDITING_POINTER : [])]) {
      list.append(
        Object.assign(document.createElement("dt"), { textContent: keys }),
        Object.assign(document.createElement("dd"), { textContent: words }),
      );
    }
    box.replaceChildren(list);
  },
});
