/** What the page says for a moment, and whether the server can be reached. */
import { useEffect, useRef } from "react";

import { decideDoubtful, doubtful, waiting } from "./outbox";
import { connection } from "./session";
import { onlyOnce } from "./parts";
import { useStore } from "./store";
import { useText } from "./text";

const SHOWN = 6_000; // milliseconds; a refusal stays until it is closed

export interface Message {
  text: string;
  kind: "good" | "bad";
  offers: "undo" | "redo" | undefined;
  at: number;
}

interface MessagesProps {
  message: Message | null;
  close: () => void;
  undo: (direction: "undo" | "redo") => void;
}

export function Messages({ message, close, undo }: MessagesProps) {
  const text = useText();
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (element.current?.matches(":popover-open")) element.current.hidePopover();
    if (message) element.current?.showPopover(); // above an open window
    if (message?.kind !== "good") return undefined;
    const timer = setTimeout(close, SHOWN);
    return () => clearTimeout(timer);
  }, [message]);
  return (
    <>
      <p className="unseen" role="status">
        {message?.text}
      </p>
      <div ref={element} popover="manual" className="messages" onClickCapture={onlyOnce}>
        {message && (
          <p key={message.at} className={message.kind}>
            <span>{message.text}</span>
            {message.offers && (
              <button type="button" className="once" onClick={() => undo(message.offers!)}>
                {text[message.offers]}
              </button>
            )}
            <button type="button" className="plain" aria-label={text.close} onClick={close}>
              ✕
            </button>
          </p>
        )}
      </div>
    </>
  );
}

/** Says when the server cannot be reached, and that nothing is lost, and asks about what may be saved already. */
export function Connection() {
  const text = useText();
  const state = useStore(connection);
  const kept = useStore(waiting).length;
  const asked = useStore(doubtful);
  return (
    <div className="connection" role="status" aria-live="assertive">
      {state === "lost" && (
        <p>
          {text.lost} {text.kept(kept)}
        </p>
      )}
      {asked[0] && (
        <p>
          {text.doubtful(asked.length, new Date(asked[0].at).toLocaleString())}{" "}
          <button type="button" onClick={() => decideDoubtful(true)}>
            {text.sendAgain}
          </button>{" "}
          <button type="button" onClick={() => decideDoubtful(false)}>
            {text.discard}
          </button>
        </p>
      )}
    </div>
  );
}
