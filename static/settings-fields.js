// One setting as a form row, generated from loop_studio/config.py by way of the page's head.
import { h } from "./element.js";

export const FORM = JSON.parse(
  document.querySelector('meta[name="loop-settings-form"]')?.content ?? "[]",
);

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export class FieldRow {
  constructor(field, onInput) {
    this.field = field;
    const ids = `range-${field.name} refusal-${field.name}`;
    const shared = { id: field.name, name: field.name, "aria-describedby": ids, oninput: onInput };
    this.input = {
      choice: () => h("select", shared, field.choices.map((choice) => h("option", { value: choice }, choice.replaceAll("_", " ")))),
      yes_no: () => h("input", { ...shared, type: "checkbox" }),
      integer: () => h("input", { ...shared, inputmode: "numeric", autocomplete: "off" }),
      number: () => h("input", { ...shared, inputmode: "decimal", autocomplete: "off" }),
      text: () => h("input", { ...shared, autocomplete: "off", spellcheck: "false" }),
    }[field.kind]();
    this.refusal = h("p", { class: "refusal", id: `refusal-${field.name}` });
    this.node = h(
      "div",
      { class: "field" },
      h("label", { for: field.name }, capital(field.description), h("code", {}, field.name)),
      h("div", { class: "value" }, this.input, h("p", { class: "quiet", id: `range-${field.name}` }, this.#range()), this.refusal),
    );
  }

  #range() {
    const { range, default: preset, kind } = this.field;
    if (kind === "yes_no") return `Default ${preset ? "on" : "off"}`;
    return kind === "choice" ? `Default ${String(preset).replaceAll("_", " ")}` : `${capital(range)}; default ${preset ?? "empty"}`;
  }

  set(value) {
    this.saved = value;
    if (this.field.kind === "yes_no") this.input.checked = value;
    else this.input.value = value ?? "";
    this.refuse("");
  }

  // What is typed, as JSON: a number where it is one, else the text, for the server to refuse.
  get value() {
    if (this.field.kind === "yes_no") return this.input.checked;
    const text = this.input.value.trim();
    if (this.field.kind === "choice") return text;
    if (text === "" && this.field.optional) return null;
    if (this.field.kind === "text") return text;
    const number = Number(text.replace(",", "."));
    return text === "" || Number.isNaN(number) ? text : number;
  }

  get changed() {
    return this.value !== this.saved;
  }

  refuse(sentence) {
    this.refusal.textContent = sentence;
    if (sentence) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }
}
