// The keyboard focus on a page with marks. It stays in the player, or returns to it after a click on a button of the page,
// so that keys keep working. A control that was reached by keys keeps the focus.

const TYPED = "input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable=true], [role=combobox]";
const PRESSED = "button, label, summary, select, [role=option], [type=range]";
// Elements that keep the focus or give it to a region themselves, and elements that open something to type in.
const KEPT = ".region, .bounds, .suggestion, [aria-haspopup], [data-testid=stPopover], [data-testid=stPopoverBody], [role=dialog]:not(.help)";

const PANEL = "[data-testid=stPopoverBody]";
const CLOSED_MS = 250;

export class Focus {
  constructor(player) {
    this.player = player;
    this.events = new AbortController();
    const { signal } = this.events;
    document.addEventListener("pointerdown", () => this.pointed(), { signal, capture: true });
    // In the capture phase, because some of Streamlit's buttons let no click through to the document.
    document.addEventListener("click", (event) => event.detail > 0 && this.clicked(event.composedPath()), { signal, capture: true });
    document.addEventListener("keydown", (event) => event.key === "Tab" && player.full && this.keepTabInside(event), { signal });
    document.addEventListener("keydown", ({ key }) => this.keyed(key), { signal, capture: true });
    // A change closes a list that was opened with the pointer.
    player.root.addEventListener("pointerdown", () => { this.byPointer = true; }, { signal, capture: true });
    player.root.addEventListener("keydown", () => { this.byPointer = false; }, { signal, capture: true });
    player.root.addEventListener("change", ({ target }) => this.byPointer && !target.matches("[type=text]") && this.take(), { signal });
  }

  clicked(path) {
    const { root, regions } = this.player;
    if (!regions.editable && !path.includes(root)) return;
    const touched = path.filter((one) => one instanceof Element);
    if (!touched.some((one) => one.matches(PRESSED)) || touched.some((one) => one.matches(KEPT))) return;
    if (touched[0]?.matches(TYPED)) return; // a list is open now
    // Streamlit's lists take the focus themselves after a choice.
    requestAnimationFrame(() => setTimeout(() => this.take()));
  }

  pointed() {
    this.pointing = true;
    if (document.querySelector(PANEL)) document.addEventListener("click", () => this.takeOnceClosed(), { once: true, capture: true });
  }

  keyed(key) {
    if (key === "Tab") this.pointing = false;
    if (key === "Escape" && this.pointing && document.querySelector(PANEL)) this.takeOnceClosed();
  }

  // A panel of the page keeps the focus until it is closed with the pointer or, if the pointer opened it, with Escape.
  takeOnceClosed() {
    if (this.player.regions.editable) setTimeout(() => document.querySelector(PANEL) || this.takeAtOpening(), CLOSED_MS);
  }

  // While the player fills the window, the Tab key stays within it, because the rest of the page is hidden.
  keepTabInside(event) {
    const all = this.player.find(".player").querySelectorAll("button, select, input, a[href], [tabindex]");
    const controls = [...all].filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility());
    const { length } = controls;
    const next = controls[(controls.indexOf(focused()) + (event.shiftKey ? length - 1 : 1)) % length];
    event.preventDefault();
    next.focus();
  }

  take() {
    if (this.player.root.isConnected) this.player.timeline.focus({ preventScroll: true });
  }

  // Take the focus when a recording is opened, unless the visitor is typing elsewhere.
  takeAtOpening() {
    if (!focused()?.matches(TYPED) || this.player.root.contains(focused())) this.take();
  }

  destroy() {
    this.events.abort();
  }
}

// The element that has the focus, also within a shadow root.
function focused() {
  let { activeElement } = document;
  while (activeElement?.shadowRoot?.activeElement) ({ activeElement } = activeElement.shadowRoot);
  return activeElement;
}
