import type { CellProgram } from "./program.js";
import type { CellSyntax } from "./syntax.js";

/** Origin of a name in the notebook's scope. */
export interface Origin {
  slot: number;
  /** True for names that exist at run time; false for types. */
  value: boolean;
  /** True where other cells may assign to it. */
  assignable: boolean;
  /** The import that gives it, when its cell had imported and not declared it. */
  statement?: string;
}

/** The names that earlier cells left, and their files. */
export interface NotebookScope {
  readonly origins: ReadonlyMap<string, Origin>;
  /** Statements that bring these names into a cell's checked text. Every checked cell needs them, if without names. */
  importOf(names: Iterable<string>): string;
  /**
   * Lets later cells see what a cell declared and imported.
   * @param uses the names that it took of the scope.
   * @param existing which of its values have come to be.
   * @returns takes it back, as long as nothing else was added
   */
  add(cell: { text: string; syntax: CellSyntax; uses: readonly string[] }, existing: Values): () => void;
}

export type Values = readonly string[] | "all";

const hub = "__scope__.ts";
const slotFile = (slot: number): string => `__cell_${slot}__.ts`;
const slotName = (slot: number): string => `__cell_${slot}__`;
const firstSlots = 32;

/** True for what {@link NotebookScope.importOf} declares beside the names that it was asked for. */
export const isSlotName = (name: string): boolean => /^__cell_\d+__$/.test(name);

/**
 * Each earlier cell lies in a file of its own, a slot. One more file, the hub, exports every slot, the empty ones too, as a
 * namespace; cells and slots import from the hub alone. So a new cell changes neither the hub nor any file's list of imports,
 * and TypeScript reuses its whole program, which would otherwise be most of what a small cell costs.
 */
export function notebookScope(program: CellProgram): NotebookScope {
  const origins = new Map<string, Origin>();
  /** The slots in use, and the slots of the cells that each one's types may lean on. */
  const kept = new Map<number, ReadonlySet<number>>();
  let size = 0;
  let free: number[] = [];

  function grow(slots: number): void {
    for (; size < slots; size++) empty(size);
    const lines = Array.from(
      { length: size },
      (_, slot) => `export * as ${slotName(slot)} from "./${slotFile(slot)}";`,
    );
    program.set(hub, lines.join("\n"));
  }

  function empty(slot: number): void {
    program.set(slotFile(slot), `import {} from "./${hub}";`);
    kept.delete(slot);
    free.push(slot);
  }

  function takeSlot(): number {
    if (free.length === 0) {
      const needed = reachable();
      for (const slot of kept.keys()) if (!needed.has(slot)) empty(slot);
      if (free.length < size / 2) grow(size * 2);
      free = free.sort((a, b) => b - a);
    }
    return free.pop()!;
  }

  /** Cells that a name of the scope comes from, and those that their types come from. */
  function reachable(): Set<number> {
    const found = new Set([...origins.values()].map((origin) => origin.slot));
    // A set's iteration goes on over what is added meanwhile.
    for (const slot of found) for (const used of kept.get(slot) ?? []) found.add(used);
    return found;
  }

  grow(firstSlots);
  free.reverse();
  return {
    origins,
    importOf(names) {
      const found = [...names].flatMap((name) => {
        const origin = origins.get(name);
        return origin === undefined ? [] : [{ name, namespace: slotName(origin.slot) }];
      });
      const namespaces = new Set(found.map(({ namespace }) => namespace));
      const aliases = found.map(({ name, namespace }) => `import ${name} = ${namespace}.${name}; `);
      // The aliases first: of two ways to call a type, messages take the one that is declared first.
      return `${aliases.join("")}import { ${[...namespaces].join(", ")} } from "./${hub}";`;
    },
    add({ text, syntax, uses }, existing) {
      if (syntax.declared.size + syntax.imported.size === 0) return () => {};
      const before = [...origins];
      const slots = new Set(uses.flatMap((name) => origins.get(name)?.slot ?? []));
      const slot = takeSlot();
      program.set(slotFile(slot), text);
      kept.set(slot, slots);
      const values = new Set(existing === "all" ? syntax.declared.keys() : existing);
      for (const [name, statement] of syntax.imported)
        origins.set(name, { slot, value: true, assignable: false, statement });
      for (const [name, { value, assignable }] of syntax.declared) {
        if (!value || values.has(name)) origins.set(name, { slot, value, assignable });
      }
      return () => {
        origins.clear();
        for (const [name, origin] of before) origins.set(name, origin);
        empty(slot);
      };
    },
  };
}
