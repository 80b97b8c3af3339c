import "./limit.test.js";
