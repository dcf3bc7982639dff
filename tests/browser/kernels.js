// Compiles kernels with this browser's WebGPU and runs them. The page knows nothing of formats: a
// kernel is a text, the types of its bindings, and the words that lie in them.
//
// check([{name, source, bindings: [{type, words}], output, workgroups: [x, y, z]}])
//   words: a list of u32, or how many zeros; output: number of the binding that is fetched
// -> [{problems, output}]: what the browser has against a kernel, or the words that it put out
"use strict";

let opened;

async function open() {
  if (!navigator.gpu) throw new Error("this browser has no WebGPU");
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("this browser has no WebGPU adapter");
  return adapter.requestDevice(); // with the limits that every browser grants
}

async function check(kernels) {
  opened ??= open();
  const device = await opened;
  const compiled = await Promise.all(kernels.map((kernel) => compile(device, kernel)));
  const results = [];
  for (const [index, { pipeline, layout, problems }] of compiled.entries()) {
    let output = [];
    if (problems.length === 0) {
      device.pushErrorScope("validation");
      output = await run(device, pipeline, layout, kernels[index]);
      const error = await device.popErrorScope();
      if (error) problems.push(error.message);
    }
    results.push({ problems, output });
  }
  return results;
}

async function compile(device, { name, source, bindings }) {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code: source });
  const layout = device.createBindGroupLayout({
    entries: bindings.map(({ type }, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type },
    })),
  });
  const scope = device.popErrorScope();
  const { messages } = await module.getCompilationInfo();
  const problems = messages.map((m) => `${m.type} in line ${m.lineNum}: ${m.message}`);
  const error = await scope;
  if (error && problems.length === 0) problems.push(error.message);
  if (problems.length > 0) return { problems };
  try {
    const pipeline = await device.createComputePipelineAsync({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: name },
    });
    return { pipeline, layout, problems };
  } catch (error) {
    return { problems: [error.message] };
  }
}

async function run(device, pipeline, layout, { bindings, output, workgroups }) {
  const usage =
    GPUBufferUsage.STORAGE | GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const bound = bindings.map(({ words }) => {
    const count = Array.isArray(words) ? words.length : words;
    const buffer = device.createBuffer({ size: count * 4, usage });
    if (Array.isArray(words)) device.queue.writeBuffer(buffer, 0, new Uint32Array(words));
    return buffer;
  });
  const fetched = device.createBuffer({
    size: bound[output].size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout,
      entries: bound.map((buffer, binding) => ({ binding, resource: { buffer } })),
    }),
  );
  pass.dispatchWorkgroups(...workgroups);
  pass.end();
  encoder.copyBufferToBuffer(bound[output], 0, fetched, 0, fetched.size);
  device.queue.submit([encoder.finish()]);
  await fetched.mapAsync(GPUMapMode.READ);
  const words = Array.from(new Uint32Array(fetched.getMappedRange()));
  for (const buffer of [...bound, fetched]) buffer.destroy();
  return words;
}
