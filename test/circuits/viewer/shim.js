// The viewer's own copy of jetpack, which lies on another server, has an axis that the published one lacks.
const make = d3.conventions;
d3.conventions = (options) => {
  const c = make(options);
  c.drawAxis ??= (svg = c.svg) => {
    svg.append("g").attr("class", "x axis").attr("transform", `translate(0,${c.height})`).call(c.xAxis);
    svg.append("g").attr("class", "y axis").call(c.yAxis);
  };
  return c;
};
