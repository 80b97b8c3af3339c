/**
 * The value that a table has of its own under a name; undefined for names that every object inherits, such as
 * "constructor". Every look-up by a name that comes from a file, a message or a caller goes through it.
 */
export function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
