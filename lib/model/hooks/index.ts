/** Hooks: the named points of a model, and which of them a run reaches. */
export { axesOf, globExpression, type Hook, isVisual, listHooks, matchHooks, overKeys } from "./hooks.js";
export { matchRunning, type RunRange, reaches } from "./reach.js";
