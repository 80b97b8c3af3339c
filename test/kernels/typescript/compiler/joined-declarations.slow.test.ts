import "./joined-declarations.test.js";
