import "./vision.test.js";
