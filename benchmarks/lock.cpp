// How long the interpreter's lock lets itself be waited for.

#include <chrono>
#include <thread>

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// To be called with the lock held, with PyEval_SaveThread and PyEval_RestoreThread: gives the lock up, rests, and
// returns the seconds that it took to have the lock again.
extern "C" double rest_and_take(void *(*give_up)(), void (*take)(void *), double rest) {
    void *thread = give_up();
    std::this_thread::sleep_for(Seconds(rest));
    const auto begin = Clock::now();
    take(thread);
    return Seconds(Clock::now() - begin).count();
}

// Work of so many seconds on one core.
extern "C" void work(double seconds) {
    const auto begin = Clock::now();
    while (Seconds(Clock::now() - begin).count() < seconds) {
    }
}
