import "./sources.test.js";
