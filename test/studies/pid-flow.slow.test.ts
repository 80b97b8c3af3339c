import "./pid-flow.test.js";
