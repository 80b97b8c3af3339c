import "./gaussianise.test.js";
