import "./synthetic.test.js";
