/** `language_info` of a notebook's metadata. */
export const languageInfo: Record<string, unknown> = {
  name: "typescript",
  version: process.versions.node,
  mimetype: "text/typescript",
  file_extension: ".ts",
  pygments_lexer: "typescript",
  codemirror_mode: { name: "javascript", typescript: true },
  nbconvert_exporter: "script",
};
