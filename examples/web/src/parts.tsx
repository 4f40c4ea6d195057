/** Small parts that several views use. */
import { type CSSProperties, type MouseEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";

import { percent, useText } from "./text";
import { colorOf, isLabelName, type Label, useWorkspace } from "./workspace";

/** The second click of a double click on a button that changes something is none: the button may do something else by then. */
export function onlyOnce(event: MouseEvent): void {
  if (event.detail < 2 || !(event.target as Element).closest("button.primary, button.danger, button.once")) return;
  event.preventDefault();
  event.stopPropagation();
}

/** A window above the page. The browser keeps the focus in it, and Esc closes it. */
export function Dialog({
  title,
  close,
  className,
  children,
}: {
  title: string;
  close: () => void;
  className?: string;
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const text = useText();
  const heading = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    dialog.current?.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => before?.focus({ preventScroll: true });
  }, []);
  return (
    <dialog
      ref={dialog}
      className={className}
      aria-labelledby={heading}
      onClose={close}
      onMouseDown={(event) => event.target === dialog.current && close()}
      onClickCapture={onlyOnce}
    >
      <header>
        <h2 id={heading} title={title}>
          {title}
        </h2>
        <button type="button" className="plain" aria-label={text.close} onClick={close}>
          ✕
        </button>
      </header>
      <div className="content">{children}</div>
    </dialog>
  );
}

interface ActionProps {
  may?: boolean; // greyed out otherwise, with the reason
  reason?: string | undefined;
  className?: string;
  label?: string; // for screen readers, where the content does not say it
  pressed?: boolean;
  submit?: boolean;
  onClick?: () => void;
  children: ReactNode;
}

/** A button. What may not be done is greyed out and says why, also to a screen reader. */
export function Action({ may = true, reason, className, label, pressed, submit, onClick, children }: ActionProps) {
  const text = useText();
  return (
    <button
      type={submit ? "submit" : "button"}
      className={className}
      aria-label={label}
      aria-pressed={pressed}
      aria-disabled={!may}
      title={may ? label : (reason ?? text.mayNot)}
      onClick={(event) => {
        if (!may) event.preventDefault();
        else onClick?.();
      }}
    >
      {children}
    </button>
  );
}

export const labelStyle = (label: Pick<Label, "name" | "color">): CSSProperties =>
  ({ "--label": colorOf(label) }) as CSSProperties;

export function Chip({
  label,
  state,
}: {
  label: Pick<Label, "name" | "color">;
  state?: "pending" | "removed" | undefined;
}) {
  return (
    <span className={`chip ${state ?? ""}`} style={labelStyle(label)}>
      {label.name}
    </span>
  );
}

interface SuggestedChipProps {
  label: Pick<Label, "name" | "color">;
  confidence: number | null;
  count?: number;
  model?: { name: string; modelVersion: string } | null;
  state?: "pending" | "removed" | undefined;
}

/** A label that a model suggests. */
export function SuggestedChip({ label, confidence, count = 1, model, state }: SuggestedChipProps) {
  return (
    <span
      className={`chip suggested ${state ?? ""}`}
      style={labelStyle(label)}
      title={model ? `${model.name} ${model.modelVersion}` : undefined}
    >
      {label.name}
      {count > 1 && ` × ${count}`} {confidence !== null && percent(confidence)}
    </span>
  );
}

/** Filters that belong together. */
export function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset>
      <legend>{title}</legend>
      {children}
    </fieldset>
  );
}

interface ChoiceProps {
  count: number;
  isChosen: boolean;
  choose: () => void;
  children: ReactNode;
}

/** A value to filter by, with how many there are. */
export function Choice({ count, isChosen, choose, children }: ChoiceProps) {
  return (
    <button type="button" className="choice" aria-pressed={isChosen} onClick={choose}>
      <span>{children}</span> <span className="figure">{count.toLocaleString()}</span>
    </button>
  );
}

interface LabelBoxProps {
  name: string; // for screen readers
  choose: (label: { id?: string; name: string }) => void;
  mayCreate?: boolean;
  may?: boolean;
  autoFocus?: boolean;
  id?: string;
  shortcut?: string | undefined; // the key that leads here
}

/** A field in which a label is typed: it offers those that contain the text, and to create one. */
export function LabelBox({ name, choose, mayCreate = true, may = true, autoFocus = false, id, shortcut }: LabelBoxProps) {
  const { text, dataset, say } = useWorkspace();
  const [typed, setTyped] = useState("");
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const listId = useId();
  const wanted = typed.trim().normalize("NFC");
  const lower = wanted.toLowerCase();
  const found: { id?: string; name: string; color?: string | null; shortcut?: string | null }[] = dataset.labels
    .filter((label) => label.name.toLowerCase().includes(lower))
    .sort((one, other) => rank(one.name, lower) - rank(other.name, lower))
    .slice(0, 8);
  const isNew = wanted !== "" && !dataset.labels.some((label) => label.name === wanted);
  if (isNew && mayCreate) found.push({ name: wanted });
  const current = found[Math.min(active, found.length - 1)];

  const take = (label: { id?: string; name: string } | undefined) => {
    if (!label || !may) return;
    if (!label.id && !isLabelName(dataset, label.name)) return say(text.labelRule, "bad"); // what is typed stays
    choose(label);
    setTyped("");
    setActive(0);
    setOpen(false);
  };
  return (
    <div className="label-box">
      <input
        id={id}
        role="combobox"
        aria-label={name}
        aria-expanded={isOpen && found.length > 0}
        aria-controls={listId}
        aria-activedescendant={isOpen && current ? `${listId}-${found.indexOf(current)}` : undefined}
        aria-autocomplete="list"
        autoComplete="off"
        autoFocus={autoFocus}
        disabled={!may}
        title={may ? undefined : text.mayNotLabel}
        placeholder={shortcut ? `${text.typeLabel} (${shortcut})` : text.typeLabel}
        aria-keyshortcuts={shortcut}
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          setActive(0);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return; // Enter ends the composition of Chinese characters
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            const step = event.key === "ArrowDown" ? 1 : found.length - 1;
            setActive(isOpen ? (active + step) % Math.max(1, found.length) : 0);
            setOpen(true);
          } else if (event.key === "Enter") take(isOpen ? current : found[0]);
          else if (event.key === "Escape" && (typed || isOpen)) {
            setTyped("");
            setOpen(false);
            event.stopPropagation();
          } else return;
          event.preventDefault();
        }}
      />
      {isOpen && found.length > 0 && (
        <ul role="listbox" id={listId} aria-label={name}>
          {found.map((label, index) => (
            <li
              key={label.id ?? "new"}
              id={`${listId}-${index}`}
              role="option"
              aria-selected={label === current}
              onMouseDown={(event) => {
                event.preventDefault(); // the field keeps the focus
                take(label);
              }}
            >
              {label.id ? (
                <>
                  <span className="dot" style={labelStyle({ name: label.name, color: label.color ?? null })} />
                  {label.name}
                  {label.shortcut && <kbd>{label.shortcut}</kbd>}
                </>
              ) : (
                text.create(label.name)
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** Labels that are the text come first, then those that begin with it. */
function rank(name: string, lower: string): number {
  const own = name.toLowerCase();
  return own === lower ? 0 : own.startsWith(lower) ? 1 : 2;
}

/** The last answer, also while the next one fails. */
export function useLast<Value>(value: Value | undefined): Value | undefined {
  const last = useRef(value);
  if (value !== undefined && value !== null) last.current = value;
  return last.current;
}

/** A value that follows another when that has been still for a while. */
export function useSettled<Value>(value: Value, milliseconds: number): Value {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}
