import "./mutation.test.js";
