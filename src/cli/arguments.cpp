#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <deque>

namespace fewbit::cli {

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::type_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Option& Option::show_default() {
  option_->capture_default_str();
  return *this;
}

Option& Option::one_value() {
  option_->allow_extra_args(false);
  return *this;
}

Option& Option::range(int64_t smallest, int64_t largest) {
  option_->check(CLI::Range(smallest, largest));
  return *this;
}

Option& Option::real_range(double smallest, double largest) {
  option_->check(CLI::Range(smallest, largest));
  return *this;
}

Option& Option::choices(std::initializer_list<std::string> allowed) {
  option_->check(CLI::IsMember(std::vector<std::string>(allowed)));
  return *this;
}

Option Arguments::option(const std::string& names, std::string& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

Option Arguments::option(const std::string& names, std::vector<std::string>& values,
                         const std::string& help) {
  return Option(app_->add_option(names, values, help));
}

Option Arguments::option(const std::string& names, int& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

Option Arguments::option(const std::string& names, int64_t& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

Option Arguments::option(const std::string& names, uint64_t& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

Option Arguments::option(const std::string& names, double& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

void Arguments::flag(const std::string& names, bool& value, const std::string& help) {
  app_->add_flag(names, value, help);
}

void Arguments::explain(const std::string& text) {
  const std::string before = app_->get_footer();
  app_->footer(before.empty() ? text : before + "\n" + text);
}

struct CommandLine::State {
  CLI::App app;
  std::vector<CLI::App*> commands;
  std::deque<Arguments> arguments;
};

CommandLine::CommandLine(const ProgramText& text)
    : state_(new State{CLI::App(text.about, text.program), {}, {}}) {
  state_->app.set_version_flag("--version", text.version);
  state_->app.require_subcommand(1);
  state_->app.footer(text.footer);
}

CommandLine::~CommandLine() = default;

Arguments& CommandLine::add_command(std::string_view name, std::string_view summary) {
  CLI::App* command = state_->app.add_subcommand(std::string(name), std::string(summary));
  command->footer("");  // not the program's
  state_->commands.push_back(command);
  return state_->arguments.emplace_back(command);
}

std::string CommandLine::help() const {
  return state_->app.help();
}

Result<std::optional<size_t>> CommandLine::parse(int argc, const char* const* argv) {
  try {
    state_->app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return misuse("{}", error.what());
    state_->app.exit(error);  // prints the help or the version
    return std::optional<size_t>();
  }
  for (size_t i = 0; i < state_->commands.size(); ++i) {
    if (state_->commands[i]->parsed()) return std::optional<size_t>(i);
  }
  return misuse("a command is missing");
}

}  // namespace fewbit::cli
