// Stands in for the drivers and compilers of AMD and NVIDIA where there is no GPU: one library with
// the functions of libamdhip64, libhiprtc, libcuda and libnvrtc that Quantloom calls.
//
// Its compilers make native code of a kernel with the shim that runs HIP texts on the CPU, its
// devices run that code. It is stricter than real drivers: work on a stream waits until somebody
// waits for it, so that memory which is read or freed too early shows; addresses, streams and code of
// another device are errors; new memory holds garbage. Compiled kernels are counted in a file. Kernels
// whose names contain what STAND_IN_NEVER says never end, and those that contain what STAND_IN_WRONG says
// compute nothing.
//
// QL_SHIM and QL_CXX, given when this is compiled, name the shim and the C++ compiler.
#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace {

// Codes that both APIs share.
enum Code {
  Success = 0,
  InvalidValue = 1,
  OutOfMemory = 2,
  NoDevice = 100,
  InvalidDevice = 101,
  InvalidImage = 200,
  InvalidContext = 201,
  NoBinary = 209,
  InvalidHandle = 400,
  NotFound = 500,
  NotReady = 600,
  LaunchFailure = 719,
};

const char* name_of(int code) {
  switch (code) {
    case Success: return "STAND_IN_SUCCESS";
    case InvalidValue: return "STAND_IN_INVALID_VALUE";
    case OutOfMemory: return "STAND_IN_OUT_OF_MEMORY";
    case InvalidDevice: return "STAND_IN_INVALID_DEVICE";
    case InvalidImage: return "STAND_IN_INVALID_IMAGE";
    case InvalidContext: return "STAND_IN_INVALID_CONTEXT";
    case NoBinary: return "STAND_IN_NO_BINARY_FOR_GPU";
    case InvalidHandle: return "STAND_IN_INVALID_HANDLE";
    case NotFound: return "STAND_IN_NOT_FOUND";
    case NotReady: return "STAND_IN_NOT_READY";
    default: return "STAND_IN_FAILURE";
  }
}

// What a real driver would answer with anything from a wrong result to a crash.
[[noreturn]] void misuse(const char* what) {
  std::fprintf(stderr, "stand-in driver: %s\n", what);
  std::abort();
}

constexpr int DEVICES = 2;
constexpr size_t MEMORY = size_t{1} << 34;  // of a device

// Work that waits, and the addresses it will use.
struct Work {
  std::vector<uint64_t> addresses;
  std::function<int()> run;
};

struct Stream {
  int device;
  std::vector<Work> work;
};

// When a stream came to it; shared with the work that will write it.
using Time = std::shared_ptr<std::chrono::steady_clock::time_point>;

struct Event {
  int device;
  Time time;
};

struct Memory {
  size_t bytes;
  int device;
};

struct Module {
  int device;
  void* library;
};

// What the shim calls `ql::Launch`.
struct Launch {
  uint32_t groups_x, groups_y, threads, failed;
  uint64_t next;
  char message[256];
};

struct Function {
  int device;
  const uint32_t* sizes;
  int (*work)(Launch*, void**);
  bool never, wrong;
};

// Whether an environment variable says a part of a name.
bool says(const char* variable, const std::string& name) {
  const char* part = getenv(variable);
  return part && *part && name.find(part) != std::string::npos;
}

// Everything there is of one API; the other one has its own.
struct Api {
  std::mutex mutex;
  std::map<uint64_t, Memory> memory;
  std::map<Stream*, int> streams;
  Stream null[DEVICES] = {{0, {}}, {1, {}}};

  Stream* stream(void* handle, int device) {
    if (!handle) return &null[device];
    const auto found = streams.find((Stream*)handle);
    return found != streams.end() && found->second == device ? found->first : nullptr;
  }

  // Whether a device has this memory.
  bool has(uint64_t address, size_t bytes, int device) {
    auto after = memory.upper_bound(address);
    if (after == memory.begin()) return false;
    const auto& [start, own] = *--after;
    return own.device == device && address - start <= own.bytes && bytes <= own.bytes - (address - start);
  }

  int run(Stream& stream) {
    int code = Success;
    for (const auto& work : stream.work) {
      if (code == Success) code = work.run();
    }
    stream.work.clear();
    return code;
  }

  int run_all(int device) {
    int code = run(null[device]);
    for (const auto& [stream, own] : streams) {
      if (own == device && code == Success) code = run(*stream);
    }
    return code;
  }

  // Whether work waits that uses this memory.
  bool in_use(uint64_t start, size_t bytes) {
    const auto uses = [=](const Stream& stream) {
      for (const auto& work : stream.work) {
        for (const uint64_t address : work.addresses) {
          if (address >= start && address - start < bytes) return true;
        }
      }
      return false;
    };
    for (const auto& [stream, device] : streams) {
      if (uses(*stream)) return true;
    }
    return uses(null[0]) || uses(null[1]);
  }

  int allocate(uint64_t* address, size_t bytes, int device) {
    if (bytes == 0) return InvalidValue;
    void* fresh = bytes > MEMORY ? nullptr : aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!fresh) return OutOfMemory;
    std::memset(fresh, 0xA5, bytes);
    *address = (uint64_t)fresh;
    memory[*address] = {bytes, device};
    return Success;
  }

  int release(uint64_t address) {
    const auto found = memory.find(address);
    if (found == memory.end()) misuse("memory is freed that is not allocated");
    if (in_use(address, found->second.bytes)) misuse("memory is freed while work waits that uses it");
    std::free((void*)address);
    memory.erase(found);
    return Success;
  }

  int copy(void* to, const void* from, size_t bytes, uint64_t on_device, void* handle, int device) {
    Stream* stream = this->stream(handle, device);
    if (!stream) return InvalidHandle;
    if (!has(on_device, bytes, device)) return InvalidValue;
    stream->work.push_back({{on_device}, [=] { return std::memcpy(to, from, bytes), (int)Success; }});
    return Success;
  }

  int clear(uint64_t to, int byte, size_t bytes, void* handle, int device) {
    Stream* stream = this->stream(handle, device);
    if (!stream) return InvalidHandle;
    if (!has(to, bytes, device)) return InvalidValue;
    stream->work.push_back({{to}, [=] { return std::memset((void*)to, byte, bytes), (int)Success; }});
    return Success;
  }

  int create(void** handle, int device) {
    Stream* stream = new Stream{device, {}};
    streams[stream] = device;
    *handle = stream;
    return Success;
  }

  int destroy(void* handle, int device) {
    Stream* stream = handle ? this->stream(handle, device) : nullptr;
    if (!stream) return InvalidHandle;
    const int code = run(*stream);
    streams.erase(stream);
    delete stream;
    return code;
  }

  int wait(void* handle, int device) {
    Stream* stream = this->stream(handle, device);
    return stream ? run(*stream) : InvalidHandle;
  }

  int create_event(void** handle, int device) { return *handle = new Event{device, nullptr}, (int)Success; }

  int destroy_event(void* handle) { return delete (Event*)handle, (int)Success; }

  int record(void* handle, void* stream_handle, int device) {
    Event* event = (Event*)handle;
    Stream* stream = this->stream(stream_handle, device);
    if (!stream || !event || event->device != device) return InvalidHandle;
    event->time = std::make_shared<std::chrono::steady_clock::time_point>();
    const Time time = event->time;
    stream->work.push_back({{}, [time] { return *time = std::chrono::steady_clock::now(), (int)Success; }});
    return Success;
  }

  int elapsed(float* milliseconds, void* from, void* to) {
    const Time start = ((Event*)from)->time, end = ((Event*)to)->time;
    if (!start || !end) return InvalidHandle;
    const std::chrono::steady_clock::time_point never;
    if (*start == never || *end == never) return NotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(*end - *start).count();
    return Success;
  }

  int launch(Function* function, const unsigned (&grid)[3], const unsigned (&threads)[3], void* handle,
             void** arguments, int device) {
    Stream* stream = this->stream(handle, device);
    if (!stream || !function || function->device != device) return InvalidHandle;
    if (threads[1] != 1 || threads[2] != 1 || grid[2] != 1) return InvalidValue;
    if (grid[0] == 0 || grid[1] == 0 || grid[1] > 65535 || threads[0] > 1024) return InvalidValue;
    // Arguments are copied now, and memory is touched later.
    std::vector<std::vector<char>> values;
    std::vector<uint64_t> addresses;
    for (const uint32_t* size = function->sizes; *size; ++size) {
      const char* value = (const char*)arguments[values.size()];
      values.emplace_back(value, value + *size);
      if (*size != sizeof(uint64_t)) continue;
      uint64_t address;
      std::memcpy(&address, value, sizeof address);
      if (!has(address, 1, device)) misuse("a kernel is given an address that is not allocated");
      addresses.push_back(address);
    }
    Launch launch = {grid[0], grid[1], threads[0], 0, 0, {}};
    const auto run = [launch, values, kernel = *function]() mutable {
      while (kernel.never) sleep(1);
      if (kernel.wrong) return (int)Success;
      std::vector<void*> arguments;
      for (auto& value : values) arguments.push_back(value.data());
      const bool ready = kernel.work(&launch, arguments.data());
      if (ready && !launch.failed) return (int)Success;
      std::fprintf(stderr, "stand-in driver: %s\n", launch.message);
      return (int)LaunchFailure;
    };
    stream->work.push_back({addresses, run});
    return Success;
  }
};

std::string temporary(const std::string& name) {
  return std::filesystem::temp_directory_path() / ("stand-in-" + name);
}

int load(void** handle, const void* image, int device, const char* target) {
  Elf64_Ehdr header;
  if (std::memcmp(image, ELFMAG, SELFMAG) != 0) return InvalidImage;
  std::memcpy(&header, image, sizeof header);
  const size_t bytes = header.e_shoff + size_t{header.e_shnum} * header.e_shentsize;
  // Under a name of its own: libraries that are not unloaded in truth are known by theirs.
  static std::atomic<int> loaded = 0;
  const std::string path = temporary(std::to_string(getpid()) + "-" + std::to_string(++loaded));
  std::ofstream(path, std::ios::binary).write((const char*)image, bytes);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  unlink(path.c_str());
  if (!library) return InvalidImage;
  const char* made_for = (const char*)dlsym(library, "stand_in_target");
  if (!made_for || std::string(made_for) != target) {
    dlclose(library);
    return NoBinary;
  }
  *handle = new Module{device, library};
  return Success;
}

int unload(void* handle) {
  Module* module = (Module*)handle;
  dlclose(module->library);
  delete module;
  return Success;
}

int find(void** handle, void* loaded, const char* name) {
  Module* module = (Module*)loaded;
  const auto sizes =
      (const uint32_t* (*)())dlsym(module->library, (std::string("ql_sizes_") + name).c_str());
  const auto work =
      (int (*)(Launch*, void**))dlsym(module->library, (std::string("ql_work_") + name).c_str());
  if (!sizes || !work) return NotFound;
  *handle = new Function{module->device, sizes(), work, says("STAND_IN_NEVER", name), says("STAND_IN_WRONG", name)};
  return Success;
}

// --- compilers

struct Program {
  std::string text, log, code;
};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The kernel that a text defines, as generated ones do.
std::string entry(const std::string& text) {
  const std::string before = "QL_KERNEL(WORKGROUP) ";
  const size_t at = text.rfind(before);
  if (at == std::string::npos) return "";
  const size_t start = at + before.size();
  return text.substr(start, text.find('(', start) - start);
}

bool compile(Program& program, const std::string& target) {
  const std::string name = entry(program.text);
  std::string at = temporary("XXXXXX");
  if (!mkdtemp(at.data())) return false;
  std::ofstream(at + "/kernel.hip") << program.text;
  std::ofstream(at + "/main.cpp") << "#include \"" QL_SHIM "\"\nnamespace kernel_0 {\n#include \"kernel.hip\"\n}\n"
                                  << "QL_EXPORT(kernel_0, " << name << ")\n"
                                  << "extern \"C\" const char stand_in_target[] = \"" << target << "\";\n";
  const std::string command = "cd " + at + " && " QL_CXX
      " -O1 -std=c++17 -shared -fPIC -ffp-contract=off -fno-strict-aliasing -fno-exceptions -w"
      " -o code.so main.cpp 2> log";
  const bool made = std::system(command.c_str()) == 0;
  program.log = contents(at + "/log");
  if (made) program.code = contents(at + "/code.so");
  if (std::system(("rm -r " + at).c_str()) != 0) return false;
  if (const char* count = getenv("STAND_IN_COMPILED"); count && made) {
    std::ofstream(count, std::ios::app) << name << "\n";
  }
  return made;
}

// The value of an option as in `--key=value`.
std::string option(int count, const char* const* options, const std::string& key) {
  for (int i = 0; i < count; ++i) {
    if (std::strncmp(options[i], key.c_str(), key.size()) == 0) return options[i] + key.size();
  }
  return "";
}

Api hip, cuda;
using Lock = std::lock_guard<std::mutex>;

constexpr const char* GFX[DEVICES] = {"gfx942:sramecc+:xnack-", "gfx1100"};
constexpr int SM[DEVICES] = {90, 130};  // the second is newer than what the compiler knows
constexpr int KNOWN = 90;

thread_local int hip_device = 0;
thread_local int cuda_device = -1;  // no context

}  // namespace

// --- libamdhip64

API int hipInit(unsigned) { return Success; }
API int hipGetDeviceCount(int* count) { return *count = DEVICES, Success; }
API int hipDeviceGetName(char* name, int, int device) {
  return std::strcpy(name, device ? "Stand-in of RDNA" : "Stand-in of CDNA"), Success;
}
API int hipGetDevicePropertiesR0600(void* properties, int device) {
  std::memset(properties, 0, 1472);
  std::strcpy((char*)properties, "gfx in a name is no target");
  std::strcpy((char*)properties + 1160, GFX[device]);
  return Success;
}
API int hipRuntimeGetVersion(int* version) { return *version = 1, Success; }
API const char* hipGetErrorName(int code) { return name_of(code); }
API const char* hipGetErrorString(int) { return "so says the stand-in"; }
API int hipGetDevice(int* device) { return *device = hip_device, Success; }
API int hipSetDevice(int device) { return hip_device = device, Success; }
API int hipMalloc(void** memory, size_t bytes) {
  const Lock lock(hip.mutex);
  return hip.allocate((uint64_t*)memory, bytes, hip_device);
}
API int hipFree(void* memory) {
  const Lock lock(hip.mutex);
  return hip.release((uint64_t)memory);
}
API int hipMemcpyAsync(void* to, const void* from, size_t bytes, int kind, void* stream) {
  const Lock lock(hip.mutex);
  if (kind != 1 && kind != 2) return InvalidValue;
  return hip.copy(to, from, bytes, (uint64_t)(kind == 1 ? to : from), stream, hip_device);
}
API int hipMemsetAsync(void* to, int byte, size_t bytes, void* stream) {
  const Lock lock(hip.mutex);
  return hip.clear((uint64_t)to, byte, bytes, stream, hip_device);
}
API int hipStreamCreateWithFlags(void** stream, unsigned) {
  const Lock lock(hip.mutex);
  return hip.create(stream, hip_device);
}
API int hipStreamSynchronize(void* stream) {
  const Lock lock(hip.mutex);
  return hip.wait(stream, hip_device);
}
API int hipStreamDestroy(void* stream) {
  const Lock lock(hip.mutex);
  return hip.destroy(stream, hip_device);
}
API int hipDeviceSynchronize() {
  const Lock lock(hip.mutex);
  return hip.run_all(hip_device);
}
API int hipEventCreate(void** event) { return hip.create_event(event, hip_device); }
API int hipEventDestroy(void* event) { return hip.destroy_event(event); }
API int hipEventRecord(void* event, void* stream) {
  const Lock lock(hip.mutex);
  return hip.record(event, stream, hip_device);
}
API int hipEventElapsedTime(float* milliseconds, void* from, void* to) {
  const Lock lock(hip.mutex);
  return hip.elapsed(milliseconds, from, to);
}
API int hipModuleLoadData(void** module, const void* image) {
  return load(module, image, hip_device, GFX[hip_device]);
}
API int hipModuleUnload(void* module) { return unload(module); }
API int hipModuleGetFunction(void** function, void* module, const char* name) {
  return find(function, module, name);
}
API int hipModuleLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads_x,
                              unsigned threads_y, unsigned threads_z, unsigned, void* stream,
                              void** arguments, void**) {
  const Lock lock(hip.mutex);
  return hip.launch((Function*)function, {x, y, z}, {threads_x, threads_y, threads_z}, stream, arguments,
                    hip_device);
}

// --- libhiprtc and libnvrtc, whose codes are the same as far as they are used

namespace {
enum { CompilerSuccess = 0, InvalidOption = 5, Compilation = 6 };
int create(void** program, const char* text) { return *program = new Program{text, "", ""}, CompilerSuccess; }
int destroy(void** program) { return delete (Program*)*program, *program = nullptr, CompilerSuccess; }
int size(void* program, size_t* size, std::string Program::* part, size_t zero) {
  return *size = (((Program*)program)->*part).size() + zero, CompilerSuccess;
}
int get(void* program, char* to, std::string Program::* part, size_t zero) {
  const std::string& bytes = ((Program*)program)->*part;
  return std::memcpy(to, bytes.c_str(), bytes.size() + zero), CompilerSuccess;
}
const char* compiler_error(int code) { return code == Compilation ? "STAND_IN_COMPILATION" : "STAND_IN_OPTION"; }
}  // namespace

API int hiprtcVersion(int* major, int* minor) { return *major = 9, *minor = 0, CompilerSuccess; }
API const char* hiprtcGetErrorString(int code) { return compiler_error(code); }
API int hiprtcCreateProgram(void** program, const char* text, const char*, int, void*, void*) {
  return create(program, text);
}
API int hiprtcDestroyProgram(void** program) { return destroy(program); }
API int hiprtcCompileProgram(void* program, int count, const char* const* options) {
  const std::string target = option(count, options, "--gpu-architecture=");
  if (target.rfind("gfx", 0) != 0) return InvalidOption;
  return compile(*(Program*)program, target) ? CompilerSuccess : Compilation;
}
API int hiprtcGetProgramLogSize(void* program, size_t* bytes) { return size(program, bytes, &Program::log, 1); }
API int hiprtcGetProgramLog(void* program, char* log) { return get(program, log, &Program::log, 1); }
API int hiprtcGetCodeSize(void* program, size_t* bytes) { return size(program, bytes, &Program::code, 0); }
API int hiprtcGetCode(void* program, char* code) { return get(program, code, &Program::code, 0); }

API int nvrtcVersion(int* major, int* minor) { return *major = 13, *minor = 0, CompilerSuccess; }
API const char* nvrtcGetErrorString(int code) { return compiler_error(code); }
API int nvrtcGetNumSupportedArchs(int* count) { return *count = 2, CompilerSuccess; }
API int nvrtcGetSupportedArchs(int* targets) { return targets[0] = 75, targets[1] = KNOWN, CompilerSuccess; }
API int nvrtcCreateProgram(void** program, const char* text, const char*, int, void*, void*) {
  return create(program, text);
}
API int nvrtcDestroyProgram(void** program) { return destroy(program); }
API int nvrtcCompileProgram(void* program, int count, const char* const* options) {
  const std::string target = option(count, options, "--gpu-architecture=");
  // The bits of decoded weights depend on the second.
  if (target.empty() || option(count, options, "--fmad=") != "false") return InvalidOption;
  return compile(*(Program*)program, target) ? CompilerSuccess : Compilation;
}
API int nvrtcGetProgramLogSize(void* program, size_t* bytes) { return size(program, bytes, &Program::log, 1); }
API int nvrtcGetProgramLog(void* program, char* log) { return get(program, log, &Program::log, 1); }
// A target that is no real one has PTX and no cubin.
API int nvrtcGetCUBINSize(void* program, size_t* bytes) {
  const bool real = ((Program*)program)->code.find("compute_") == std::string::npos;
  return real ? size(program, bytes, &Program::code, 0) : (*bytes = 0, CompilerSuccess);
}
API int nvrtcGetCUBIN(void* program, char* code) { return get(program, code, &Program::code, 0); }
API int nvrtcGetPTXSize(void* program, size_t* bytes) { return size(program, bytes, &Program::code, 1); }
API int nvrtcGetPTX(void* program, char* code) { return get(program, code, &Program::code, 1); }

// --- libcuda: nothing works on a thread without a context

namespace {
int contexts[DEVICES];
// The context of a device, as the driver hands it out.
void* context(int device) { return device < 0 ? nullptr : &contexts[device]; }
template <class Call>
int in_context(Call call) {
  if (cuda_device < 0) return InvalidContext;
  const Lock lock(cuda.mutex);
  return call();
}
}  // namespace

API int cuInit(unsigned) { return Success; }
API int cuGetErrorName(int code, const char** name) { return *name = name_of(code), Success; }
API int cuGetErrorString(int, const char** text) { return *text = "so says the stand-in", Success; }
API int cuDeviceGetCount(int* count) { return *count = DEVICES, Success; }
API int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, Success; }
API int cuDeviceGetName(char* name, int, int device) {
  return std::strcpy(name, device ? "Stand-in of tomorrow" : "Stand-in of Hopper"), Success;
}
API int cuDeviceGetAttribute(int* value, int which, int device) {
  if (which != 75 && which != 76) return InvalidValue;  // compute capability, major and minor
  return *value = which == 75 ? SM[device] / 10 : SM[device] % 10, Success;
}
API int cuDevicePrimaryCtxRetain(void** retained, int device) { return *retained = context(device), Success; }
API int cuDevicePrimaryCtxRelease_v2(int) { return Success; }
API int cuCtxGetCurrent(void** current) { return *current = context(cuda_device), Success; }
API int cuCtxSetCurrent(void* next) {
  return cuda_device = next ? int((int*)next - contexts) : -1, Success;
}
API int cuCtxSynchronize() {
  return in_context([] { return cuda.run_all(cuda_device); });
}
API int cuMemAlloc_v2(uint64_t* address, size_t bytes) {
  return in_context([=] { return cuda.allocate(address, bytes, cuda_device); });
}
API int cuMemFree_v2(uint64_t address) {
  return in_context([=] { return cuda.release(address); });
}
API int cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, void* stream) {
  return in_context([=] { return cuda.copy((void*)to, from, bytes, to, stream, cuda_device); });
}
API int cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, void* stream) {
  return in_context([=] { return cuda.copy(to, (void*)from, bytes, from, stream, cuda_device); });
}
API int cuMemsetD8Async(uint64_t to, unsigned char byte, size_t bytes, void* stream) {
  return in_context([=] { return cuda.clear(to, byte, bytes, stream, cuda_device); });
}
API int cuStreamCreate(void** stream, unsigned) {
  return in_context([=] { return cuda.create(stream, cuda_device); });
}
API int cuStreamSynchronize(void* stream) {
  return in_context([=] { return cuda.wait(stream, cuda_device); });
}
API int cuStreamDestroy_v2(void* stream) {
  return in_context([=] { return cuda.destroy(stream, cuda_device); });
}
API int cuEventCreate(void** event, unsigned) {
  return in_context([=] { return cuda.create_event(event, cuda_device); });
}
API int cuEventDestroy_v2(void* event) {
  return in_context([=] { return cuda.destroy_event(event); });
}
API int cuEventRecord(void* event, void* stream) {
  return in_context([=] { return cuda.record(event, stream, cuda_device); });
}
API int cuEventElapsedTime(float* milliseconds, void* from, void* to) {
  return in_context([=] { return cuda.elapsed(milliseconds, from, to); });
}
API int cuModuleLoadData(void** module, const void* image) {
  const bool real = SM[cuda_device < 0 ? 0 : cuda_device] <= KNOWN;
  const std::string target = (real ? "sm_" : "compute_") + std::to_string(KNOWN);
  return in_context([=] { return load(module, image, cuda_device, target.c_str()); });
}
API int cuModuleUnload(void* module) {
  return in_context([=] { return unload(module); });
}
API int cuModuleGetFunction(void** function, void* module, const char* name) {
  return in_context([=] { return find(function, module, name); });
}
API int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads_x,
                       unsigned threads_y, unsigned threads_z, unsigned, void* stream, void** arguments,
                       void**) {
  return in_context([=] {
    return cuda.launch((Function*)function, {x, y, z}, {threads_x, threads_y, threads_z}, stream, arguments,
                       cuda_device);
  });
}
