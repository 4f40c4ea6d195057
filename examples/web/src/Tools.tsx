/** What is above the list: its tabs, what is selected, the order and size of the images, and the keys. */
import { type Conditions, type Order, type Tab, TABS } from "./conditions";
import { Dialog } from "./parts";
import { useText } from "./text";

export const TILES = [96, 140, 200, 280]; // pixels

export function Tabs({
  conditions,
  counts,
  setTab,
}: {
  conditions: Conditions;
  counts: Record<Tab, number | undefined>;
  setTab: (tab: Tab) => void;
}) {
  const text = useText();
  return (
    <div className="tabs" role="group" aria-label={text.states}>
      {TABS.map((tab) => (
        <button key={tab} type="button" aria-pressed={conditions.tab === tab} onClick={() => setTab(tab)}>
          {text.tabs[tab]} <span className="figure">{counts[tab]?.toLocaleString()}</span>
        </button>
      ))}
    </div>
  );
}

interface ToolsProps {
  total: number | null;
  selected: number;
  order: Order;
  tile: number; // one of TILES
  selectInView: () => void;
  selectAll: () => void;
  deselect: () => void;
  open: () => void;
  setOrder: (order: Order) => void;
  setTile: (tile: number) => void;
  help: () => void;
  helpKey: string | undefined;
}

export function Tools({ total, selected, order, tile, helpKey, ...does }: ToolsProps) {
  const text = useText();
  const help = helpKey ? `${text.help} (${helpKey})` : text.help;
  return (
    <div className="tools">
      <span className="count" aria-live="polite">
        {selected > 0 ? text.selected(selected) : total === null ? text.loading : text.images(total)}
      </span>
      <button type="button" disabled={!total} onClick={does.open} title={text.openHelp}>
        {text.open}
      </button>
      <button type="button" className="menu" popoverTarget="selecting">
        {text.select} ▾
      </button>
      <div
        id="selecting"
        popover="auto"
        onClick={({ currentTarget }) => currentTarget.hidePopover()} // nothing, where they are in the line
      >
        <button type="button" disabled={!total} onClick={does.selectInView}>
          {text.selectPage}
        </button>
        <button type="button" disabled={!total} onClick={does.selectAll}>
          {text.selectAll(total ?? 0)}
        </button>
        {selected > 0 && (
          <button type="button" onClick={does.deselect}>
            {text.deselect}
          </button>
        )}
      </div>
      <span className="end">
        <label>
          <span>{text.sort}</span>{" "}
          <select value={order} onChange={(event) => does.setOrder(event.target.value as Order)}>
            {Object.entries(text.orders).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <input
          type="range"
          aria-label={text.tileSize}
          title={text.tileSize}
          min={0}
          max={TILES.length - 1}
          value={TILES.indexOf(tile)}
          onChange={(event) => does.setTile(TILES[Number(event.target.value)]!)}
        />
        <button
          type="button"
          className="plain help"
          aria-label={text.help}
          aria-keyshortcuts={helpKey}
          title={help}
          onClick={does.help}
        >
          ?
        </button>
      </span>
    </div>
  );
}

export function Keys({ close }: { close: () => void }) {
  const text = useText();
  return (
    <Dialog title={text.help} close={close}>
      <dl className="keys">
        {text.keys.map(([keys, does]) => (
          <div key={keys}>
            <dt>{keys}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
