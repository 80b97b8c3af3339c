/**
 * Says what is odd and goes on, as a warning of the process: on stderr, and to listeners of its `warning` event.
 * @param summary what was found
 * @param reason what is done about it
 * @param hint what ends the warning
 */
export function warn(summary: string, reason: string, hint: string): void {
  process.emitWarning([summary, reason, hint].join(" "), { type: "ModalscopeWarning" });
}
