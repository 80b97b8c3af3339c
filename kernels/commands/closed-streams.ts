/**
 * Goes on where nobody reads what the command prints any more, as in `modalscope run notebook.ipynb 2>&1 | head`: a run
 * of hours ends as it would have, and what it saves is complete.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
}
