/** Files that lie elsewhere: `s3://` and `https://`. Nothing of it is loaded before a URL asks for it. */
export { LatestUpload } from "./latest-upload.js";
export { type LocalCopyOptions, localCopy, upload } from "./local-copy.js";
export { baseName, holdsCredentials, isRemote, joinPath, shownPath } from "./location.js";
export { type ReadOptions, readObject, readTextIfThere, writeObject } from "./objects.js";
