import "./report.test.js";
