/** Rules over the imports of a source tree: which room knows which, and through which door. */
import { circlesAmong, type Import } from "./imports.js";

/** A folder, or a file, of the tree; a file belongs to the room with the longest path that holds it. */
export interface Room {
  readonly path: string;
  /** Rooms that it may import. */
  readonly knows: readonly string[];
  /** Its files are imported one by one, without an `index.ts` that stands for them. */
  readonly open?: boolean;
}

export interface Walls {
  readonly rooms: readonly Room[];
  /** Packages that these rooms alone may import. */
  readonly doors: Readonly<Record<string, readonly string[]>>;
}

/**
 * Rooms on floors, the topmost first: a room knows those on lower floors and what `all` of them know.
 * @param open rooms without an `index.ts` that stands for their files
 */
export function floors(
  storeys: readonly (readonly string[])[],
  all: readonly string[],
  open: readonly string[] = [],
): Room[] {
  return storeys.flatMap((storey, i) =>
    storey.map((path) => ({
      path,
      knows: [...storeys.slice(i + 1).flat(), ...all],
      open: open.includes(path),
    })),
  );
}

/** The walls that `imports` break, one line each. */
export function brokenWalls(imports: readonly Import[], walls: Walls): string[] {
  return [
    ...imports.flatMap((one) => (one.isPackage ? doorBroken(one, walls) : wallBroken(one, walls))),
    ...circlesAmong(imports).map((circle) => `circle: ${[...circle, circle[0]].join(" → ")}`),
  ];
}

function doorBroken({ from, to }: Import, { doors }: Walls): string[] {
  const allowed = Object.hasOwn(doors, to) ? doors[to] : undefined;
  if (allowed === undefined || allowed.some((room) => contains(room, from))) return [];
  return [`${from} imports ${to}, which is for ${allowed.join(", ")}`];
}

function wallBroken({ from, to }: Import, { rooms }: Walls): string[] {
  const [own, other] = [roomOf(from, rooms), roomOf(to, rooms)];
  if (own === undefined || other === undefined)
    return [`${own === undefined ? from : to} belongs to no room`];
  if (own === other) return [];
  if (!own.knows.includes(other.path))
    return [`${from} imports ${to}: ${own.path} may not know ${other.path}`];
  if (other.open || to === other.path || to === `${other.path}/index.ts`) return [];
  return [`${from} imports ${to} past ${other.path}/index.ts`];
}

function roomOf(file: string, rooms: readonly Room[]): Room | undefined {
  return rooms
    .filter(({ path }) => contains(path, file))
    .reduce<Room | undefined>(
      (best, room) => (best && best.path.length > room.path.length ? best : room),
      undefined,
    );
}

const contains = (path: string, file: string): boolean => file === path || file.startsWith(`${path}/`);
