import {
  defineProperty,
  getPrototypeOf,
  hasOwn,
  keys,
  objectPrototype,
  SafeMap,
  setPrototypeOf,
  toObject,
} from "../intrinsics.js";

export type Namespace = Record<string, unknown>;

const views = new SafeMap<unknown, Namespace>();

/**
 * A CommonJS or JSON module as bundlers, and so the checker, see it: all of `module.exports` under its names, and as
 * the default, unless it was an ECMAScript module before it was compiled. Node offers the names that it finds by
 * reading the source.
 */
export function commonJsView(namespace: Namespace): Namespace {
  const exported = namespace.default;
  if (toObject(exported) !== exported) return namespace;
  const known = views.get(exported);
  if (known !== undefined) return known;
  const whole = exported as Namespace;
  const view: Namespace = {};
  const names = keys(whole);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    defineProperty(view, name, { enumerable: true, configurable: true, get: () => whole[name] });
  }
  const isCompiled = hasOwn(whole, "__esModule") && hasOwn(whole, "default");
  if (!isCompiled) defineProperty(view, "default", { enumerable: true, configurable: true, value: exported });
  // The methods of an instance that is exported as a whole.
  const prototype = getPrototypeOf(whole);
  if (typeof whole === "object" && prototype !== objectPrototype) setPrototypeOf(view, prototype);
  views.set(exported, view);
  return view;
}
