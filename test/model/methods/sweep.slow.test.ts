import "./sweep.test.js";
