/** Finite differences hook by hook, where `npm test` takes several at once. */
import "./vision.test.js";
