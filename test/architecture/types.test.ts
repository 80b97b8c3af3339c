/** The tests that ask for types, in one process: they share one program. */
import "./look-ups.js";
import "./options.js";
import "./wide-options.js";
