// The view follows the end of the conversation while the reader is there, and never against them.

/** Pixels from the end within which the reader is at the end. */
const NEAR = 8;

export class Follow {
  #on = true;

  /**
   * @param {HTMLElement} view
   * @param {HTMLElement} toEnd
   */
  constructor(view, toEnd) {
    this.view = view;
    this.toEnd = toEnd;
    const leave = () => this.#leave();
    view.addEventListener("wheel", (event) => event.deltaY < 0 && leave(), { passive: true });
    view.addEventListener("touchmove", leave, { passive: true });
    view.addEventListener("pointerdown", (event) => event.target === view && leave());
    view.addEventListener("keydown", (event) => {
      if (["PageUp", "ArrowUp", "Home"].includes(event.key)) leave();
    });
    view.addEventListener("scroll", () => {
      if (this.#distance() <= NEAR) this.#on = true;
      this.#show();
    }, { passive: true });
    toEnd.addEventListener("click", () => this.end());
    new ResizeObserver(() => this.follow()).observe(view);
  }

  #distance() {
    const { scrollHeight, scrollTop, clientHeight } = this.view;
    return scrollHeight - scrollTop - clientHeight;
  }

  #leave() {
    if (this.#distance() > 0 || this.view.scrollTop > 0) this.#on = false;
  }

  #show() {
    this.toEnd.hidden = this.#on || this.#distance() < 80;
  }

  /** Something was put at the end. */
  follow() {
    if (this.#on) this.view.scrollTop = this.view.scrollHeight;
    else this.#show();
  }

  /** To the end, and on with it. */
  end() {
    this.#on = true;
    this.follow();
    this.#show();
  }
}
